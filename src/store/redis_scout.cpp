#include "store/redis_scout.hpp"

#include <utility>

namespace troupe::store::redis {

scout::scout(std::shared_ptr<net::lane> on, net::asio::ssl::context* tls,
             const link::limits& each)
    : on_{std::move(on)}, tls_{tls}, limits_{each} {}

void scout::ask(std::vector<address> whom, greeting::terms how, inspector look,
                finish done) {
  whom_ = std::move(whom);
  how_ = std::move(how);
  how_.any_role = true;
  look_ = std::move(look);
  done_ = std::move(done);
  at_ = 0;
  failure_ = {};
  next();
}

void scout::next() {
  if (at_ == whom_.size()) {
    if (whom_.empty())
      failure_.why = "there is nobody to ask";
    on_->post([self = shared_from_this()] {
      self->look_ = nullptr;
      if (const auto done = std::exchange(self->done_, nullptr))
        done(self->failure_);
    });
    return;
  }
  link_ = std::make_shared<link>(on_, tls_, *this, limits_);
  link_->open(whom_[at_], how_);
}

void scout::link_opened(reply answer) {
  const auto self = shared_from_this();
  const auto why = look_(answer, whom_[at_]);
  if (!done_)
    return;  // closed meanwhile
  link_->close();
  link_.reset();
  if (!why.empty())
    return said(why, false);
  look_ = nullptr;
  std::exchange(done_, nullptr)({});
}

void scout::link_lost(const greeting::failure& why) {
  link_.reset();
  said(why.why, why.lasting);
}

void scout::said(const std::string& why, bool lasting) {
  if (!failure_.why.empty())
    failure_.why += "; ";
  failure_.why += to_string(whom_[at_]) + ": " + why;
  failure_.lasting = failure_.lasting || lasting;
  ++at_;
  next();
}

void scout::close() {
  done_ = nullptr;
  look_ = nullptr;
  if (link_)
    link_->close();
  link_.reset();
}

}  // namespace troupe::store::redis
