#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;  // Catch2 v2 has it without a namespace
#else
#include <catch2/catch.hpp>
#endif
