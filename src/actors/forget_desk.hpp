#pragma once

#include <memory>
#include <string>

#include "actors/services.hpp"

/// Where an operator has a chat forgotten (docs/adr/0024). The wish is accepted
/// like an update, with an id of ours below zero, so that the chat's owner
/// turns it in its place.
namespace troupe::actors {

/// True for such a wish.
bool asks_to_forget(const store::entry& what);

/// See `node`. **Threads**: any.
void forget_chat(const std::shared_ptr<services>& shared, chat_key key,
                 callback<std::string> done);

}  // namespace troupe::actors
