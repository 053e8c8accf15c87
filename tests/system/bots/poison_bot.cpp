// A bot whose handlers misbehave on demand, for the tests and bench/poison: it
// counts texts as examples/counter does, but
//   "poison..."  throws while the file named by POISON_HOLD exists, or always
//                if there is no POISON_HOLD
//   "block"      doesn't return while that file exists, for two minutes at most
//   "sleep..."   takes 5 s
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <troupe/bot.hpp>

using namespace std::chrono_literals;

struct counted {
  std::int64_t n = 0;
};
BOOST_DESCRIBE_STRUCT(counted, (), (n))

namespace {

bool held() {
  const char* file = std::getenv("POISON_HOLD");
  return file == nullptr || std::filesystem::exists(file);
}

void misbehave(const std::string& text) {
  if (text.starts_with("poison") && held())
    throw std::runtime_error{"this text is poison"};
  if (text.starts_with("sleep"))
    std::this_thread::sleep_for(5s);
  if (text == "block") {
    for (int i = 0; i < 2'400 && held(); ++i)
      std::this_thread::sleep_for(50ms);
  }
}

troupe::behavior misbehaving(troupe::chat<counted>* ctx) {
  return {
      [=](const troupe::text_message& m) {
        misbehave(m.text);
        const auto n = ++ctx->state.n;
        ctx->reply("n=" + std::to_string(n) + " text=" + m.text);
      },
  };
}

}  // namespace

int main(int argc, char** argv) {
  return troupe::run<counted>(argc, argv, misbehaving);
}
