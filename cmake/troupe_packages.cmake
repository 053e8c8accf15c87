# The third parties, all from Debian. Each is used by one module only (a test
# holds that), so each is linked where it is used.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
set(Boost_NO_WARN_NEW_VERSIONS ON)
find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(spdlog REQUIRED)
find_package(simdjson REQUIRED)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(hiredis REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(libpq REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)

# CAF 0.17.6 as Debian ships it has no CMake files.
find_path(CAF_INCLUDE_DIR caf/all.hpp REQUIRED)
find_library(CAF_CORE_LIBRARY caf_core REQUIRED)
add_library(caf_core INTERFACE)
target_include_directories(caf_core SYSTEM INTERFACE ${CAF_INCLUDE_DIR})
target_link_libraries(caf_core INTERFACE ${CAF_CORE_LIBRARY} Threads::Threads)
find_library(CAF_IO_LIBRARY caf_io REQUIRED)
find_library(CAF_OPENSSL_LIBRARY caf_openssl REQUIRED)
add_library(caf_openssl INTERFACE)
target_link_libraries(caf_openssl INTERFACE ${CAF_OPENSSL_LIBRARY}
  ${CAF_IO_LIBRARY} caf_core OpenSSL::SSL)

# The allocator of our programs, bots included: many small blocks are freed on
# other threads than they came from, where glibc's costs a tenth more CPU per
# update (docs/adr/0007). The sanitizers bring their own.
add_library(troupe_allocator INTERFACE)
if(NOT TROUPE_SANITIZE)
  pkg_check_modules(jemalloc REQUIRED IMPORTED_TARGET jemalloc)
  target_link_libraries(troupe_allocator INTERFACE PkgConfig::jemalloc)
endif()

# Boost is header-only here; SYSTEM keeps its warnings out of our builds.
add_library(troupe_boost INTERFACE)
target_include_directories(troupe_boost SYSTEM INTERFACE ${Boost_INCLUDE_DIRS})
