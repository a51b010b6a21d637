// volk comes as source: the Vulkan functions as pointers, filled in once libvulkan has been opened.
#define VOLK_IMPLEMENTATION
#include <volk.h>
