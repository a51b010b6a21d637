// Compiles volk, which comes as source: it declares Vulkan's functions as pointers and sets them once libvulkan is
// open.
#define VOLK_IMPLEMENTATION
#include <volk.h>
