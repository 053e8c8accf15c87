#include "cart.hpp"

int main(int argc, char** argv) {
  return cart_bot().run(argc, argv);
}
