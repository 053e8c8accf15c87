#include "counter.hpp"

// [main-begin]
int main(int argc, char** argv) {
  return troupe::run<counter>(argc, argv, count);
}
// [main-end]
