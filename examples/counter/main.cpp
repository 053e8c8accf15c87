#include "counter.hpp"

int main(int argc, char** argv) {
  return troupe::run<counter>(argc, argv, count);
}
