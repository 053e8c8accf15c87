#include "payment.hpp"

int main(int argc, char** argv) {
  return run<account>(argc, argv, payment);
}
