#include "backends/vulkan/device/instance.h"

#include <utility>

#include "backends/vulkan/failure.h"

namespace vulkan {
namespace {

// Guards volk's global function pointers. They are the same for every instance, so loading them again changes nothing.
lockstep::Mutex loading;

VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT,
                                          const VkDebugUtilsMessengerCallbackDataEXT* data, void* instance) {
  static_cast<Instance*>(instance)->note_validation_message(data->pMessage);
  return VK_FALSE;
}

VkDebugUtilsMessengerCreateInfoEXT messenger_info(Instance* instance) {
  VkDebugUtilsMessengerCreateInfoEXT info{VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT};
  info.messageSeverity =
      VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT;
  info.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
  info.pfnUserCallback = &on_message;
  info.pUserData = instance;
  return info;
}

}  // namespace

Instance::Instance(const lks_host_api& host) : host_(host) {
  const std::string validation = option(host, "vulkan.validation");
  const std::string kernels = option(host, "vulkan.kernels");
  const bool large = kernels == "large";
  const DeviceOptions options{option(host, "vulkan.hide"), large || kernels == "gpu", large};
  const lockstep::LockGuard lock(loading);
  if (volkInitialize() != VK_SUCCESS) {
    raise(LKS_UNAVAILABLE, DRIVER_WHERE, "no Vulkan loader: libvulkan.so.1 not found");
  }
  if (volkGetInstanceVersion() < VK_API_VERSION_1_2) {
    raise(LKS_UNAVAILABLE, DRIVER_WHERE, "the Vulkan loader is older than 1.2");
  }
  create(!validation.empty() && validation != "0");
  find_devices(options);
}

void Instance::create(bool validate) {
  VkApplicationInfo application{VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.pApplicationName = "lockstep";
  application.apiVersion = VK_API_VERSION_1_2;
  VkInstanceCreateInfo info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pApplicationInfo = &application;
  const char* const layer = "VK_LAYER_KHRONOS_validation";
  const char* const extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
  const VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info(this);
  if (validate) {
    info.pNext = &messenger;
    info.ppEnabledLayerNames = &layer;
    info.ppEnabledExtensionNames = &extension;
    info.enabledLayerCount = info.enabledExtensionCount = 1;
  }
  const VkResult result = vkCreateInstance(&info, nullptr, &handle_);
  if (result == VK_ERROR_LAYER_NOT_PRESENT) {
    raise(LKS_UNAVAILABLE, DRIVER_WHERE, "vulkan.validation is set and the validation layer is not installed");
  }
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
    raise(LKS_UNAVAILABLE, DRIVER_WHERE, "the Vulkan loader finds no driver that it can use (see VK_DRIVER_FILES)");
  }
  check(result, "vkCreateInstance", DRIVER_WHERE);
  volkLoadInstanceOnly(handle_);
  if (validate) VULKAN_CHECK(vkCreateDebugUtilsMessengerEXT(handle_, &messenger, nullptr, &messenger_));
}

void Instance::find_devices(const DeviceOptions& options) {
  std::uint32_t count = 0;
  std::vector<VkPhysicalDevice> handles;
  VkResult result = vkEnumeratePhysicalDevices(handle_, &count, nullptr);
  if (result >= 0 && count > 0) {
    handles.resize(count);
    result = vkEnumeratePhysicalDevices(handle_, &count, handles.data());
  }
  if (result < 0 || count == 0) {
    if (messenger_) vkDestroyDebugUtilsMessengerEXT(handle_, messenger_, nullptr);
    vkDestroyInstance(handle_, nullptr);
    raise(LKS_UNAVAILABLE, DRIVER_WHERE,
          "the Vulkan loader finds no device: no driver is installed, or VK_DRIVER_FILES "
          "names none");
  }
  for (VkPhysicalDevice handle : handles) devices_.push_back(query_properties(handle_, handle, options));
}

Instance::~Instance() {
  if (messenger_) vkDestroyDebugUtilsMessengerEXT(handle_, messenger_, nullptr);
  vkDestroyInstance(handle_, nullptr);
}

void Instance::note_validation_message(const char* text) {
  host_.log(host_.host, LKS_LOG_ERROR, "vulkan", text);
  const lockstep::LockGuard lock(mutex_);
  if (validation_message_.empty()) validation_message_ = text;
  has_message_ = true;
}

std::string Instance::take_validation_message() {
  const lockstep::LockGuard lock(mutex_);
  has_message_ = false;
  return std::exchange(validation_message_, "");
}

}  // namespace vulkan
