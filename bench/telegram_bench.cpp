#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "telegram/call.hpp"
#include "telegram/facts.hpp"
#include "telegram/update.hpp"

// What every update and every answer pays on its way through the node.

namespace {

using namespace troupe::telegram;

// A private text message as Telegram sends it.
std::string text_message(std::size_t text_size) {
  return R"({"update_id":870002931,
"message":{"message_id":21733,"from":{"id":5012345678,"is_bot":false,"first_name":"Alexandra","last_name":"Petrova","username":"alexandra_p","language_code":"de","is_premium":true},"chat":{"id":5012345678,"first_name":"Alexandra","last_name":"Petrova","username":"alexandra_p","type":"private"},"date":1790000000,"text":")" +
         std::string(text_size, 'x') +
         R"(","entities":[{"offset":0,"length":8,"type":"hashtag"}]}})";
}

std::string typical() {
  return text_message(90);
}

std::string sent_answer() {
  return R"({"ok":true,"result":{"message_id":21734,"from":{"id":123456789,"is_bot":true,"first_name":"Shop","username":"shop_bot"},"chat":{"id":5012345678,"first_name":"Alexandra","last_name":"Petrova","username":"alexandra_p","type":"private"},"date":1790000001,"text":"n=17 text=hello"}})";
}

void bytes(benchmark::State& state, const std::string& text) {
  state.SetBytesProcessed(state.iterations() *
                          static_cast<std::int64_t>(text.size()));
  state.counters["bytes"] = static_cast<double>(text.size());
}

void route_message(benchmark::State& state) {
  auto text = text_message(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state)
    benchmark::DoNotOptimize(route(text));
  bytes(state, text);
}
BENCHMARK(route_message)->Arg(90)->Arg(4096)->Arg(1 << 20);

void facts_of_message(benchmark::State& state) {
  auto text = typical();
  for (auto _ : state)
    benchmark::DoNotOptimize(read_facts(text));
  bytes(state, text);
}
BENCHMARK(facts_of_message);

void split_a_batch_of_100(benchmark::State& state) {
  std::string text = R"({"ok":true,"result":[)";
  for (int i = 0; i < 100; ++i)
    text += (i != 0 ? "," : "") + typical();
  text += "]}";
  for (auto _ : state)
    benchmark::DoNotOptimize(split_updates(text));
  bytes(state, text);
}
BENCHMARK(split_a_batch_of_100);

void answer_of_a_send(benchmark::State& state) {
  auto text = sent_answer();
  for (auto _ : state)
    benchmark::DoNotOptimize(read_answer(200, text, ""));
  bytes(state, text);
}
BENCHMARK(answer_of_a_send);

void place_a_call(benchmark::State& state) {
  std::string body =
      R"({"chat_id":5012345678,"text":"n=17 text=hello","reply_markup":{"inline_keyboard":[[{"text":"Pay","callback_data":"pay"}]]}})";
  auto from = troupe::chat_key::chat(5012345678);
  for (auto _ : state) {
    benchmark::DoNotOptimize(lane_of("sendMessage"));
    benchmark::DoNotOptimize(cost_of("sendMessage", body));
    benchmark::DoNotOptimize(destination_of(body, from));
  }
  bytes(state, body);
}
BENCHMARK(place_a_call);

}  // namespace

BENCHMARK_MAIN();
