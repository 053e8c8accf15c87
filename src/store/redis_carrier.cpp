#include "store/redis_carrier.hpp"

#include <utility>

namespace troupe::store::redis {

namespace {

constexpr milliseconds parcel_pause{1'000};

}  // namespace

/// Counts what a commit still waits for.
struct carrier::pending {
  std::size_t left = 0;
  std::function<void()> done;

  void one_less() {
    if (--left == 0)
      done();
  }
};

/// One parcel on its way.
struct carrier::delivery {
  shard_id from;
  std::string id;  ///< at its sender
  parcel what;
  std::shared_ptr<pending> of;             ///< until the first try has ended
  std::function<void(seq_no)> took_place;  ///< of a notice, then
};

carrier::carrier(net::loop& on, batcher& by, const clock& time)
    : loop_{on}, batch_{by}, time_{time} {}

void carrier::carry(shard_id from, const commit_plan& plan,
                    const std::vector<posted>& ids,
                    std::function<void(std::size_t which, seq_no)> took_place,
                    std::function<void()> done) {
  auto all = std::make_shared<pending>(pending{ids.size(), std::move(done)});
  for (const auto& [id, which] : ids) {
    const auto& p = plan.parcels[which];
    std::function<void(seq_no)> place;
    if (p.notice)
      place = [took_place, which = which](seq_no seq) {
        took_place(which, seq);
      };
    deliver(std::make_shared<delivery>(
        delivery{from, id, p.what, all, std::move(place)}));
  }
}

void carrier::deliver(std::shared_ptr<delivery> what) {
  auto taking = take_in_part(what->what, what->from, what->id, time_.wall());
  batch_.run_inner(std::move(taking), [this, what](result<reading> in) {
    const auto seq = in ? in->number() : 0;
    const bool good = in && in->good();
    if (good && seq != 0 && what->took_place)
      what->took_place({seq});
    if (const auto of = std::exchange(what->of, nullptr))
      of->one_less();
    what->took_place = nullptr;
    if (good)
      arrived(what);
    else
      deliver_later(what);
  });
}

void carrier::arrived(const std::shared_ptr<delivery>& what) {
  batch_.run_inner(arrived_part(what->what, what->from, what->id),
                   [this, what](const result<reading>& in) {
                     if (!in)
                       deliver_later(what);  // is seen to have been there
                   });
}

// The next owner goes on if we close before.
void carrier::deliver_later(std::shared_ptr<delivery> what) {
  loop_.after(parcel_pause, [this, what = std::move(what)] {
    if (!batch_.closing())
      deliver(what);
  });
}

void carrier::carry_kept(shard_id from, std::vector<kept_parcel> all) {
  for (auto& [id, what] : all)
    deliver(std::make_shared<delivery>(
        delivery{from, std::move(id), std::move(what), nullptr, nullptr}));
}

// A commit whose answer was lost may have left some.
void carrier::look_for(shard_id from) {
  loop_.after(parcel_pause, [this, from] {
    if (batch_.closing())
      return;
    batch_.run_inner(parcels_part(from), [this, from](result<reading> in) {
      auto found =
          in ? read_parcels(*in) : result<std::vector<kept_parcel>>{in.error()};
      if (found)
        carry_kept(from, std::move(*found));
      else
        look_for(from);
    });
  });
}

}  // namespace troupe::store::redis
