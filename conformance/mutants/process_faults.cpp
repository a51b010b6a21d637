// Faults that concern the process and its files: threads, signals, standard output, settings, a cache.
#include <signal.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <chrono>
#include <clocale>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "backends/common/diag.h"
#include "conformance/mutants/mutant.h"

namespace mutants {
namespace {

// The entry starts a thread, which never ends. The library stays loaded.
void entry_starts_a_thread(lks_driver_api& t) {
  t.flags &= ~std::uint32_t{LKS_DRIVER_UNLOADABLE};
  std::thread([] {
    while (true) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }).detach();
}

void prints_on_stdout(lks_driver_api& t) {
  t.driver_open = [](const lks_host_api* host, lks_driver** out, lks_diag* diag) -> lks_status {
    std::printf("the driver is open\n");
    std::fflush(stdout);
    return correct().driver_open(host, out, diag);
  };
}

void sets_locale(lks_driver_api& t) {
  t.driver_open = [](const lks_host_api* host, lks_driver** out, lks_diag* diag) -> lks_status {
    std::setlocale(LC_ALL, "C.UTF-8");
    return correct().driver_open(host, out, diag);
  };
}

// The calling thread gets no SIGUSR2 any more.
void blocks_a_signal(lks_driver_api& t) {
  t.device_open = [](lks_driver* driver, std::uint32_t ordinal, lks_device** out, lks_diag* diag) -> lks_status {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    return correct().device_open(driver, ordinal, out, diag);
  };
}

void changes_folder(lks_driver_api& t) {
  t.device_open = [](lks_driver* driver, std::uint32_t ordinal, lks_device** out, lks_diag* diag) -> lks_status {
    [[maybe_unused]] const int ignored = chdir("/");
    return correct().device_open(driver, ordinal, out, diag);
  };
}

// The device does not open if a file of its cache is damaged. Used in the suite's folders only, so that the user's
// stays as it is.
const lks_host_api* host_of_cache = nullptr;
void trusts_its_cache(lks_driver_api& t) {
  t.driver_open = [](const lks_host_api* host, lks_driver** out, lks_diag* diag) -> lks_status {
    host_of_cache = host;
    return correct().driver_open(host, out, diag);
  };
  t.device_open = [](lks_driver* driver, std::uint32_t ordinal, lks_device** out, lks_diag* diag) -> lks_status {
    char folder[1024] = "";
    host_of_cache->get_option(host_of_cache->host, "cache.folder", folder, sizeof folder);
    if (!std::strstr(folder, "lockstep-conformance")) return correct().device_open(driver, ordinal, out, diag);
    const std::string path = std::string(folder) + "/mutant", good = "what was compiled";
    std::ifstream file(path, std::ios::binary);
    if (file && std::string(std::istreambuf_iterator<char>(file), {}) != good) {
      return common::fail(diag, LKS_DATA_CORRUPT, DRIVER_WHERE, "%s is damaged", path.c_str());
    }
    std::ofstream(path, std::ios::binary) << good;
    return correct().device_open(driver, ordinal, out, diag);
  };
}

// After a launch, long doubles of the calling thread are rounded to 53 bits.
void shortens_long_doubles(lks_driver_api& t) {
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_launch(queue, launches, count, value, diag);
    std::uint16_t word = 0;
    __asm__ volatile("fnstcw %0" : "=m"(word));
    word = static_cast<std::uint16_t>((word & ~0x0300u) | 0x0200u);
    __asm__ volatile("fldcw %0" : : "m"(word));
    return status;
  };
}

void closing_leaves_flushing_on(lks_driver_api& t) {
  t.device_close = [](lks_device* device) {
    correct().device_close(device);
    _mm_setcsr(_mm_getcsr() | 0x8040u);
  };
}

constexpr TableFault faults[] = {
    {Mutant::entry_starts_a_thread, &entry_starts_a_thread},
    {Mutant::prints_on_stdout, &prints_on_stdout},
    {Mutant::sets_locale, &sets_locale},
    {Mutant::blocks_a_signal, &blocks_a_signal},
    {Mutant::changes_folder, &changes_folder},
    {Mutant::trusts_its_cache, &trusts_its_cache},
    {Mutant::shortens_long_doubles, &shortens_long_doubles},
    {Mutant::closing_leaves_flushing_on, &closing_leaves_flushing_on},
};

}  // namespace

std::span<const TableFault> process_faults() { return faults; }

}  // namespace mutants
