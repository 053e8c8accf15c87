#include "booking.hpp"

int main(int argc, char** argv) {
  return bot<std::monostate>{booking}.run(argc, argv);
}
