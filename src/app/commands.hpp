#pragma once

#include "app/command_line.hpp"
#include "app/console.hpp"
#include "app/settings.hpp"

/// The commands besides `run`. Each returns its exit code.
namespace troupe::app {

/// `check`: one line per thing that must work, and what to do if it doesn't.
int check(const loaded& with, const invocation& call, console& talk);

/// `webhook set|info|delete`.
int webhook(const settings& with, const invocation& call, console& talk);

/// `dead-letters list|show|retry|drop`.
int dead_letters(const settings& with, const invocation& call, console& talk);

/// `broadcast start|list|show|pause|resume|cancel`.
int broadcast(const settings& with, const invocation& call, console& talk);

/// `audience count|export|tag`.
int audience(const settings& with, const invocation& call, console& talk);

/// `forget CHAT`.
int forget(const settings& with, const invocation& call, console& talk);

/// `reload`: has the running node read its configuration again.
int reload(const settings& with, const invocation& call, console& talk);

/// `cluster status|drain`.
int cluster(const settings& with, const invocation& call, console& talk);

/// `stats`, `stats chat KEY`.
int stats(const settings& with, const invocation& call, console& talk);

}  // namespace troupe::app
