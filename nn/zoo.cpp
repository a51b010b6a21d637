#include "lockstep/zoo.h"

#include "lockstep/error.h"

namespace lockstep::zoo {

using namespace nn;

Model mlp(std::int64_t classes) {
  return Model(
      Sequential(Flatten{}, Dense{.units = 512}, Relu{}, Dense{.units = 256}, Relu{}, Dense{.units = classes}));
}

Model cnn(std::int64_t classes) {
  return Model(Sequential(Conv2d{.filters = 32, .kernel = 3}, Relu{}, Conv2d{.filters = 64, .kernel = 3}, Relu{},
                          MaxPool2d{}, Flatten{}, Dense{.units = 128}, Relu{}, Dense{.units = classes}));
}

std::vector<std::string> names() { return {"mlp", "cnn"}; }

Model make(std::string_view name, std::int64_t classes) {
  if (name == "mlp") return mlp(classes);
  if (name == "cnn") return cnn(classes);
  ErrorBuilder(ErrorId::bad_arguments, "model", "there is no model \"" + std::string(name) + "\"")
      .fix("use mlp or cnn")
      .raise();
}

}  // namespace lockstep::zoo
