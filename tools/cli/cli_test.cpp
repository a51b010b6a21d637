// Tests of the command line as a user's script sees it: exit status, last line, and files on disk.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

struct Result {
  int status = 0;
  std::string out, err;

  std::string last_line() const {
    const std::size_t end = out.find_last_not_of('\n');
    const std::size_t start = end == std::string::npos ? 0 : out.find_last_of('\n', end) + 1;
    return end == std::string::npos ? "" : out.substr(start, end + 1 - start);
  }
};

std::string contents_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class CommandLine : public testing::Test {
 protected:
  CommandLine() : folder_(fs::temp_directory_path() / ("lockstep_cli_test_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~CommandLine() override { fs::remove_all(folder_); }

  Result run(const std::string& arguments, const std::string& environment = "") const {
    return run_command(environment + " " LOCKSTEP_PROGRAM " " + arguments);
  }

  Result run_command(const std::string& line) const {
    const std::string errors = (folder_ / "stderr").string();
    const std::string command = line + " 2>" + errors;
    Result r;
    std::FILE* pipe = popen(command.c_str(), "r");
    std::array<char, 4096> buffer;
    for (std::size_t n; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) r.out.append(buffer.data(), n);
    const int status = pclose(pipe);
    r.status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
    r.err = contents_of(errors);
    return r;
  }

  void expect_usage_error(const std::string& arguments, const std::string& pattern) const {
    const Result r = run(arguments);
    EXPECT_EQ(r.status, 2) << arguments << "\n" << r.err;
    EXPECT_TRUE(std::regex_search(r.err, std::regex(pattern))) << arguments << "\n" << r.err;
    EXPECT_TRUE(std::regex_search(r.err, std::regex("Error\\[LS\\d{4}\\]"))) << r.err;
    EXPECT_NE(r.err.find("  fix  "), std::string::npos) << r.err;
  }

  /// The ids of the devices that are available here.
  std::vector<std::string> available_devices() const { return available_in(run("devices --json")); }
  static std::vector<std::string> available_in(const Result& devices) {
    std::vector<std::string> ids;
    for (const Json& d : Json::parse(devices.out)) {
      if (d["available"].get<bool>()) ids.push_back(d["id"]);
    }
    EXPECT_FALSE(ids.empty()) << devices.err;
    return ids;
  }

  fs::path folder_;
};

const std::string small = " --model mlp --limit-images 64 --steps 2 --batch-size 16 ";

TEST_F(CommandLine, ConformanceIsAProgramOfItsOwn) {
  EXPECT_NE(run("--help").out.find("conformance"), std::string::npos);
  const Result help = run("conformance --help");
  EXPECT_EQ(help.status, 0);
  EXPECT_NE(help.out.find("lockstep conformance [OPTIONS]"), std::string::npos) << help.out;
  // Without the program, the error says how to build it.
  fs::copy_file(LOCKSTEP_PROGRAM, folder_ / "lockstep");
  const std::string errors = (folder_ / "errors").string();
  const int status = std::system(((folder_ / "lockstep").string() + " conformance --device cpu 2>" + errors).c_str());
  EXPECT_EQ(WEXITSTATUS(status), 2);
  const std::string text = contents_of(errors);
  EXPECT_NE(text.find("LS9001"), std::string::npos) << text;
  EXPECT_NE(text.find("lockstep_conformance_program"), std::string::npos) << text;
}

TEST_F(CommandLine, DevicesAreAnArrayOfObjects) {
  const Result r = run("devices --json");
  ASSERT_EQ(r.status, 0) << r.err;
  const Json devices = Json::parse(r.out);
  ASSERT_TRUE(devices.is_array());
  ASSERT_FALSE(devices.empty());
  for (const Json& d : devices) {
    for (const char* key : {"id", "driver", "name", "type", "available", "reason", "memory_total", "memory_free",
                            "native", "decomposed", "missing"}) {
      EXPECT_TRUE(d.contains(key)) << key << " is not in " << d;
    }
    EXPECT_TRUE(d["missing"].empty()) << d["id"] << " lacks " << d["missing"];
  }
}

// Its name is then no path. What the current folder holds under that name is not taken for the program.
TEST_F(CommandLine, FindsItsDriversWhenAShellFindsItInThePath) {
  fs::create_directories(folder_ / "lockstep");
  const Result r =
      run_command("cd " + folder_.string() + " && PATH=" + fs::path(LOCKSTEP_PROGRAM).parent_path().string() +
                  ":$PATH lockstep devices --json");
  EXPECT_EQ(available_in(r), available_devices());
}

TEST_F(CommandLine, WhyNamesEveryLibraryAndFolder) {
  const Result r = run("devices --why", "LOCKSTEP_DRIVER_PATH=" TEST_DRIVERS "/broken");
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_NE(r.out.find(TEST_DRIVERS "/broken"), std::string::npos) << r.out;
  EXPECT_NE(r.out.find("liblockstep_driver_no_symbol.so"), std::string::npos) << r.out;
  EXPECT_NE(r.out.find("reference:0"), std::string::npos) << "a broken driver hides the others\n" << r.out;
}

TEST_F(CommandLine, OpsAreListedFromTheirDefinitions) {
  const Result table = run("ops");
  ASSERT_EQ(table.status, 0) << table.err;
  EXPECT_NE(table.out.find("sum(x, axes = all axes, keep = false) -> y"), std::string::npos) << table.out;
  EXPECT_NE(
      table.out.find("conv2d(x, w, bias?, strides = [1, 1], padding = valid, dilation = [1, 1], groups = 1) -> y"),
      std::string::npos)
      << table.out;
  EXPECT_EQ(table.out.find("conv2d_backward_input"), std::string::npos) << "an internal op is listed";
  EXPECT_NE(table.out.find("full(shape, value, dtype = f32) -> y"), std::string::npos) << "required ones come first";
  const auto row = [&](const std::string& start) {
    const std::size_t begin = table.out.find("\n " + start + " ") + 1;
    return begin == 0 ? "" : table.out.substr(begin, table.out.find('\n', begin) - begin);
  };
  EXPECT_NE(row("exp(x) -> y").find(" f32 f64 f16 bf16  "), std::string::npos) << row("exp(x) -> y");
  EXPECT_NE(row("gather(x, indices, axis = 0) -> y").find(" x: all; indices: i32 i64  "), std::string::npos);
  EXPECT_LT(row("exp(x) -> y").find(" f32"), 60u) << "the longest signature widens all rows";

  const Result r = run("ops --json");
  ASSERT_EQ(r.status, 0) << r.err;
  const Json ops = Json::parse(r.out);
  ASSERT_TRUE(ops.is_array());
  EXPECT_GT(ops.size(), 50u);
  for (const Json& op : ops) {
    for (const char* key :
         {"name", "signature", "doc", "internal", "inputs", "arguments", "outputs", "gradient", "devices"}) {
      EXPECT_TRUE(op.contains(key)) << key << " is not in " << op;
    }
    EXPECT_FALSE(op["internal"].get<bool>()) << op["name"];
    EXPECT_FALSE(op["devices"].empty()) << op["name"];
  }
  EXPECT_GT(Json::parse(run("ops --internal --json").out).size(), ops.size());
}

TEST_F(CommandLine, OneOpIsDescribedWhole) {
  const Result r = run("ops softmax --json");
  ASSERT_EQ(r.status, 0) << r.err;
  const Json op = Json::parse(r.out)[0];
  EXPECT_EQ(op["name"], "softmax");
  EXPECT_EQ(op["inputs"][0]["dtypes"], Json({"f32", "f64", "f16", "bf16"}));
  EXPECT_EQ(op["arguments"][0]["name"], "axis");
  EXPECT_EQ(op["arguments"][0]["kind"], "axis");
  EXPECT_EQ(op["arguments"][0]["default"], Json(-1));
  const auto default_of = [&](const std::string& name, const std::string& argument) -> Json {
    const Json described = Json::parse(run("ops --json " + name).out);
    for (const Json& a : described[0]["arguments"]) {
      if (a["name"] == argument) return {a["default"], a["otherwise"]};
    }
    return "there is none";
  };
  EXPECT_EQ(default_of("sum", "axes"), Json({nullptr, "all axes"}));
  EXPECT_EQ(default_of("sum", "keep"), Json({false, ""}));
  EXPECT_EQ(default_of("conv2d", "strides"), Json({{1, 1}, ""}));
  EXPECT_EQ(default_of("conv2d", "padding"), Json({"valid", ""}));
  EXPECT_EQ(default_of("one_hot", "dtype"), Json({"f32", ""}));
  EXPECT_EQ(default_of("layer_norm", "epsilon"), Json({1e-5, ""}));
  EXPECT_EQ(default_of("cast", "to"), Json({nullptr, ""})) << "it is required";
  EXPECT_EQ(op["gradient"], "yes");
  EXPECT_EQ(Json::parse(run("ops cross_entropy --json").out)[0]["gradient"], "through its parts");
  EXPECT_EQ(Json::parse(run("ops argmax --json").out)[0]["gradient"], "none");
  const auto on_reference = [&](const char* name) {
    const Json described = Json::parse(run(std::string("ops --json ") + name).out);
    for (const Json& d : described[0]["devices"]) {
      if (d["id"] == "reference:0") return d["how"].get<std::string>();
    }
    return std::string();
  };
  EXPECT_EQ(on_reference("exp"), "program");
  EXPECT_EQ(on_reference("matmul"), "kernel");
  EXPECT_EQ(on_reference("reshape"), "runtime");
  const std::string text = run("ops softmax").out;
  EXPECT_NE(text.find("softmax(x, axis = -1) -> y"), std::string::npos) << text;
  EXPECT_NE(text.find("Exponentials of x along one axis"), std::string::npos) << text;
  EXPECT_NE(text.find("along which the exponentials sum to one"), std::string::npos) << text;
  EXPECT_NE(text.find("; default: -1"), std::string::npos) << text;
  const std::string cast = run("ops cast").out;
  EXPECT_NE(cast.find("cast(x, to) -> y"), std::string::npos) << cast;
  EXPECT_NE(cast.find("; required"), std::string::npos) << cast;
  expect_usage_error("ops no_such_op", "there is no op \"no_such_op\"");
}

TEST_F(CommandLine, TrainEndsWithOneObject) {
  const Result r = run("train --json --seed 3 --device reference" + small);
  ASSERT_EQ(r.status, 0) << r.err;
  const Json line = Json::parse(r.last_line());
  EXPECT_EQ(line["device"], "reference:0");
  EXPECT_EQ(line["mode"], "strict");
  EXPECT_EQ(line["seed"], 3);
  EXPECT_EQ(line["steps"], 2);
  EXPECT_GT(line["loss"].get<double>(), 0);
  EXPECT_GE(line["test_accuracy"].get<double>(), 0);
  EXPECT_GT(line["images_per_second"].get<double>(), 0);
  EXPECT_GT(line["peak_bytes"].get<double>(), 0);
  EXPECT_GT(line["seconds"].get<double>(), 0);
  EXPECT_EQ(line["epochs"], 1);
  EXPECT_TRUE(std::regex_match(line["weights_sha256"].get<std::string>(), std::regex("[0-9a-f]{64}")));
}

TEST_F(CommandLine, TheSeedDecidesTheWeights) {
  const auto hash = [&](const std::string& more) {
    return Json::parse(run("train --json --device reference" + small + more).last_line())["weights_sha256"];
  };
  EXPECT_EQ(hash("--seed 5"), hash("--seed 5"));
  EXPECT_NE(hash("--seed 5"), hash("--seed 6"));
  EXPECT_NE(hash("--seed 18446744073709551615"), hash("--seed 9223372036854775807"));
}

TEST_F(CommandLine, ABatchMayBeLargerThanTheSet) {
  const Result r = run("train --device reference --model mlp --limit-images 8 --batch-size 9223372036854775807");
  EXPECT_EQ(r.status, 0) << r.err;
}

TEST_F(CommandLine, WhatTrainSavesEvaluateLoads) {
  const std::string file = (folder_ / "weights.safetensors").string();
  const Result trained = run("train --json --device reference --save " + file + small);
  ASSERT_EQ(trained.status, 0) << trained.err;
  const Result r = run("evaluate --json --device reference --model mlp --limit-images 64 --load " + file);
  ASSERT_EQ(r.status, 0) << r.err;
  const Json line = Json::parse(r.last_line());
  EXPECT_EQ(line["weights_sha256"], Json::parse(trained.last_line())["weights_sha256"]);
  EXPECT_EQ(line["test_accuracy"], Json::parse(trained.last_line())["test_accuracy"]);
}

TEST_F(CommandLine, SeveralDevicesAreComparedInOneTable) {
  const Result r = run("train --device all" + small);
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_TRUE(std::regex_search(r.out, std::regex("device +steps +loss +test accuracy"))) << r.out;
  EXPECT_TRUE(std::regex_search(r.out, std::regex("reference:0 +2 "))) << r.out;
}

TEST_F(CommandLine, BenchWritesAnObjectALine) {
  const Result r = run("bench --suite overhead --json --filter 'add size-8' --device reference");
  ASSERT_EQ(r.status, 0) << r.err;
  const Json line = Json::parse(r.last_line());
  for (const char* key : {"group", "workload", "device", "mode", "unit", "median", "min", "max", "ratio", "of"}) {
    EXPECT_TRUE(line.contains(key)) << key;
  }
}

TEST_F(CommandLine, CompareFindsNoDivergenceBetweenSoundDevices) {
  const std::string arguments = "compare --devices cpu,reference --model mlp --limit-images 8 --batch-size 4 --steps 2";
  const Result r = run(arguments + " --json");
  ASSERT_EQ(r.status, 0) << r.err << r.out;
  const Json line = Json::parse(r.last_line());
  EXPECT_EQ(line["devices"], Json({"cpu:0", "reference:0"}));
  EXPECT_EQ(line["steps"], 2);
  EXPECT_GT(line["calls"].get<int>(), 20);
  EXPECT_EQ(line["diverges"], false);
  EXPECT_TRUE(line["culprits"].empty());
  EXPECT_NE(run(arguments).out.find("no divergence"), std::string::npos);
}

TEST_F(CommandLine, CompareNamesTheFirstOpBeyondTheTolerance) {
  const std::string arguments =
      "compare --devices cpu,reference --model mlp --limit-images 8 --batch-size 4 --tolerance 0";
  const Result r = run(arguments + " --json");
  ASSERT_EQ(r.status, 1) << r.err << r.out;
  const Json line = Json::parse(r.last_line());
  ASSERT_FALSE(line["culprits"].empty());
  const Json& culprit = line["culprits"][0];
  EXPECT_EQ(culprit["op"], "matmul") << "the sums of cpu and reference round differently";
  EXPECT_EQ(culprit["scope"], "model/dense");
  EXPECT_NE(culprit["first_bits"], culprit["second_bits"]);
  EXPECT_GT(culprit["ulp"].get<double>(), 0);
  EXPECT_NE(run(arguments).out.find("matmul in model/dense"), std::string::npos);
}

// A driver with one wrong op, which only the backward pass calls.
TEST_F(CommandLine, CompareFindsTheOneWrongOpOfADriver) {
  for (const char* file :
       {"liblockstep_mutants_reference.so", "liblockstep_driver_mutant_conv_filter_gradient_tf32.so"})
    fs::copy_file(fs::path(TEST_DRIVERS "/mutants") / file, folder_ / file);
  const Result r =
      run("compare --json --devices reference,conv_filter_gradient_tf32 --model cnn --limit-images 4 --batch-size 2",
          "LOCKSTEP_DRIVER_PATH=" + folder_.string());
  ASSERT_EQ(r.status, 1) << r.err << r.out;
  const Json culprits = Json::parse(r.last_line())["culprits"];
  ASSERT_FALSE(culprits.empty());
  for (const Json& culprit : culprits) {
    EXPECT_EQ(culprit["op"], "conv2d_backward_filter");
    EXPECT_EQ(culprit["part"], "backward");
    const double exact = culprit["exact"], allowed = culprit["allowed"];
    EXPECT_LE(std::fabs(culprit["first"].get<double>() - exact), allowed);
    EXPECT_GT(std::fabs(culprit["second"].get<double>() - exact), allowed);
  }
}

TEST_F(CommandLine, BadOptionsExitWithTwo) {
  expect_usage_error("", "command");
  expect_usage_error("dance", "dance");
  expect_usage_error("train --colour", "colour");
  expect_usage_error("train --epochs 0", "--epochs.*whole number");
  expect_usage_error("train --steps -4", "--steps");
  expect_usage_error("train --epochs 1 --steps 1", "--epochs|--steps");
  expect_usage_error("train --batch-size 2.5", "--batch-size");
  expect_usage_error("train --batch-size 99999999999999999999", "--batch-size");
  expect_usage_error("train --seed -1", "--seed");
  expect_usage_error("train --seed 18446744073709551616", "--seed.*from 0 to 18446744073709551615");
  expect_usage_error("train --threads 0", "--threads");
  expect_usage_error("train --limit-images 0", "--limit-images");
  expect_usage_error("train --memory-limit lots", "lots");
  expect_usage_error("train --model transformer", "transformer");
  expect_usage_error("train --mode exact", "exact");
  expect_usage_error("train --device tpu", "LS3001.*tpu");
  expect_usage_error("train --device reference:7", "reference:7");
  expect_usage_error("train --device reference,tpu" + small, "tpu");
  expect_usage_error("train --device ,", "--device");
  expect_usage_error("train --data /nowhere", "LS8001.*/nowhere");
  expect_usage_error("evaluate --device reference", "--load");
  expect_usage_error("evaluate --load /nowhere/w --device reference", "LS8001.*/nowhere");
  expect_usage_error("bench --suite speed", "speed");
  expect_usage_error("compare", "--devices");
  expect_usage_error("compare --devices cpu", "--devices.*only cpu:0");
  expect_usage_error("compare --devices cpu,tpu", "LS3001.*tpu");
  expect_usage_error("compare --devices cpu,reference --model transformer", "transformer");
  expect_usage_error("compare --devices cpu,reference --mode exact", "exact");
  expect_usage_error("compare --devices cpu,reference --tolerance -1", "--tolerance");
  expect_usage_error("compare --devices cpu,reference --steps 0", "--steps");
  expect_usage_error("compare --devices cpu,reference --data /nowhere", "LS8001.*/nowhere");
  expect_usage_error("bench --device tpu", "tpu");
  expect_usage_error("bench --device reference --filter nonsense", "nonsense");
}

TEST_F(CommandLine, AModeThatTheDeviceLacksIsRefusedBeforeTraining) {
  const Result r = run("train --device toy:0 --mode lockstep", "LOCKSTEP_DRIVER_PATH=" TEST_DRIVERS);
  EXPECT_EQ(r.status, 2) << r.err;
  EXPECT_TRUE(std::regex_search(r.err, std::regex("LS6002.*lockstep"))) << r.err;
  EXPECT_NE(r.err.find("it offers strict"), std::string::npos) << r.err;
}

// All devices that offer lockstep mode, all thread counts and all runs give one hash. Strict mode gives another.
TEST_F(CommandLine, LockstepTrainingHasOneHash) {
  const auto hash = [&](const std::string& device, const std::string& mode, const std::string& more) {
    const Result r = run("train --json --seed 7 --mode " + mode + " --device " + device + small + more);
    EXPECT_EQ(r.status, 0) << r.err;
    const Json line = Json::parse(r.last_line());
    EXPECT_EQ(line["mode"], mode);
    return line["weights_sha256"].get<std::string>();
  };
  const std::string expected = hash("reference", "lockstep", "");
  EXPECT_NE(hash("reference", "strict", ""), expected);
  const Result all = run("train --mode lockstep --seed 7 --device all" + small);
  EXPECT_EQ(all.status, 0) << all.out << all.err;
  EXPECT_NE(all.out.find("The weights are the same on all of them, bit for bit"), std::string::npos) << all.out;
  int compared = 0;
  for (const Json& device : Json::parse(run("devices --json").out)) {
    if (!device["available"].get<bool>() || device["id"] == "reference:0") continue;
    const Json modes = device["modes"];
    if (std::find(modes.begin(), modes.end(), "lockstep") == modes.end()) continue;
    ++compared;
    for (const char* threads : {"--threads 1", "--threads 3"}) {
      EXPECT_EQ(hash(device["id"], "lockstep", threads), expected) << device["id"] << " " << threads;
    }
  }
  std::printf("%d other devices offer lockstep mode\n", compared);
}

TEST_F(CommandLine, AFileThatCannotBeWrittenIsFoundBeforeTraining) {
  const Result r = run("train --device reference --epochs 1000 --model mlp --save /nowhere/weights");
  EXPECT_EQ(r.status, 2);
  EXPECT_NE(r.err.find("LS8005"), std::string::npos) << r.err;
  const Result onto_folder = run("train --device reference --epochs 1000 --model mlp --save " + folder_.string());
  EXPECT_EQ(onto_folder.status, 2);
  EXPECT_NE(onto_folder.err.find("LS8005"), std::string::npos) << onto_folder.err;
}

TEST_F(CommandLine, ATooSmallMemoryLimitLeavesNoFile) {
  const fs::path file = folder_ / "weights";
  for (const std::string& device : available_devices()) {
    const Result r = run("train --device " + device + " --memory-limit 6MiB --save " + file.string() + small);
    EXPECT_EQ(r.status, 2) << device;
    EXPECT_NE(r.err.find("OutOfMemoryError[LS5001]"), std::string::npos) << device << "\n" << r.err;
    EXPECT_FALSE(fs::exists(file)) << device;
    for (const auto& entry : fs::directory_iterator(folder_)) EXPECT_EQ(entry.path().filename(), "stderr") << device;
  }
}

// Creates a folder with IDX files of square noise images, as --data expects.
std::string image_folder(const fs::path& folder, std::uint32_t train, std::uint32_t test, std::uint32_t side = 28) {
  fs::create_directories(folder);
  const auto write = [&](const std::string& name, const std::vector<std::uint32_t>& extents, bool labels) {
    std::string bytes = {'\0', '\0', '\x08', static_cast<char>(extents.size())};
    std::size_t count = 1;
    for (std::uint32_t n : extents) {
      for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(n >> shift);
      count *= n;
    }
    for (std::size_t i = 0; i < count; ++i) bytes += static_cast<char>(labels ? i % 10 : i * i >> 5);
    std::ofstream(folder / name, std::ios::binary) << bytes;
  };
  write("train-images-idx3-ubyte", {train, side, side}, false);
  write("train-labels-idx1-ubyte", {train}, true);
  write("t10k-images-idx3-ubyte", {test, side, side}, false);
  write("t10k-labels-idx1-ubyte", {test}, true);
  return folder.string();
}

// A failure after training must not lose the weights.
TEST_F(CommandLine, WeightsAreSavedBeforeTheEvaluation) {
  const std::string data = image_folder(folder_ / "images", 40, 0), full = image_folder(folder_ / "more", 40, 20);
  for (const std::string& device : available_devices()) {
    const std::string file = (folder_ / ("weights of " + device.substr(0, device.find(':')))).string();
    const std::string on_device = " --device " + device + " --model mlp --data ";
    const Result r = run("train --steps 2" + on_device + data + " --save '" + file + "'");
    EXPECT_EQ(r.status, 2) << "there are no test images";
    EXPECT_NE(r.err.find("ShapeError[LS2007] evaluate: the data set is empty"), std::string::npos) << r.err;
    EXPECT_NE(r.out.find("saved to " + file), std::string::npos) << r.out;
    const Result loaded = run("evaluate --json" + on_device + full + " --load '" + file + "'");
    EXPECT_EQ(loaded.status, 0) << loaded.err;
    const Result none = run("evaluate --json" + on_device + data + " --load '" + file + "'");
    EXPECT_EQ(none.status, 2);
    EXPECT_NE(none.err.find("ShapeError[LS2007] evaluate: the data set is empty"), std::string::npos) << none.err;
  }
}

TEST_F(CommandLine, NoImagesToTrainOn) {
  const std::string data = image_folder(folder_ / "images", 0, 10);
  const std::string message = "LS2007.*the data set is empty";
  for (const std::string& device : available_devices()) {
    expect_usage_error("train --device " + device + " --model mlp --data " + data, message);
    if (device == "reference:0") continue;
    expect_usage_error("compare --devices " + device + ",reference --model mlp --data " + data, message);
  }
}

// Training with batches of 8 images fits; evaluation with one of 256 would not: what the two convolutions give takes
// 28.5 KiB per image. Small images have small weights, so the limit is low, and few operations reach it.
TEST_F(CommandLine, EvaluationFitsWhereTrainingDoes) {
  const std::string data = image_folder(folder_ / "images", 8, 300, 12), file = (folder_ / "weights").string();
  for (const std::string& device : available_devices()) {
    const std::string limited =
        " --json --device " + device + " --memory-limit 7MiB --model cnn --data " + data + " --batch-size ";
    const Result r = run("train --steps 1 --save " + file + limited + "8");
    ASSERT_EQ(r.status, 0) << device << "\n" << r.err;
    EXPECT_GE(Json::parse(r.last_line())["test_accuracy"].get<double>(), 0) << device;
    const Result large = run("evaluate --load " + file + limited + "300");
    EXPECT_EQ(large.status, 2) << device << ": else this test needs another limit";
    EXPECT_NE(large.err.find("LS5001"), std::string::npos) << device << "\n" << large.err;
    std::smatch advice;
    ASSERT_TRUE(std::regex_search(large.err, advice, std::regex("  fix  +batch ([0-9]+) fits"))) << large.err;
    const Result advised = run("evaluate --load " + file + limited + advice[1].str());
    EXPECT_EQ(advised.status, 0) << device << ", batch " << advice[1].str() << "\n" << advised.err;
  }
}

TEST_F(CommandLine, AFileThatIsOverwrittenKeepsItsMode) {
  const fs::path file = folder_ / "weights";
  std::ofstream(file) << "old";
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  const std::string data = image_folder(folder_ / "images", 8, 8);
  ASSERT_EQ(run("train --device reference --model mlp --steps 1 --data " + data + " --save " + file.string()).status,
            0);
  EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(CommandLine, DamagedFilesAreNamed) {
  const fs::path file = folder_ / "weights";
  std::ofstream(file) << "these are no weights";
  expect_usage_error("evaluate --device reference --model mlp --load " + file.string(), "LS800[234].*weights");
}

TEST_F(CommandLine, ConformanceRefusesWhatMakesNoSense) {
  const fs::path text = folder_ / "liblockstep_driver_text.so", bounds = folder_ / "bounds.json";
  std::ofstream(text) << "this is not a library";
  std::ofstream(bounds) << R"({"rows": [{"class": "sums"}]})";
  const std::string reference = "conformance --device reference ";
  expect_usage_error("conformance", "name one device");
  expect_usage_error("conformance --device nosuch", "LS3001.*nosuch");
  expect_usage_error("conformance --driver " + text.string(), "is not a driver");
  expect_usage_error("conformance --driver " + folder_.string(), "is not a driver");
  expect_usage_error("conformance --driver libm.so.6", "is not a driver");
  expect_usage_error(reference + "--op nosuch", "nosuch");
  expect_usage_error(reference + "--profile nosuch", "nosuch.*");
  expect_usage_error(reference + "--mode nosuch", "nosuch");
  expect_usage_error(reference + "--dtype f33", "LS2104");
  expect_usage_error(reference + "--case nosuch", "nosuch");
  expect_usage_error(reference + "--case memory/nosuch", "nosuch");
  expect_usage_error(reference + "--case ''", "empty");
  expect_usage_error(reference + "--case probe/matmul/f32/strict/nosuch", "no case");
  expect_usage_error(reference + "--shard 5/4", "5/4");
  expect_usage_error(reference + "--bounds " + bounds.string(), "LS8004.*bounds.json");
  expect_usage_error(reference + "--bounds " + (folder_ / "none.json").string(), "LS8001");
  expect_usage_error(reference + "--report /proc/nowhere", "LS8005");
}

TEST_F(CommandLine, ConformanceEndsWithOneObjectAndAReport) {
  const fs::path report = folder_ / "report";
  const std::string part = "conformance --device reference --profile core --op argmax --mode strict --json ";
  const Result r = run(part + "--report " + report.string());
  ASSERT_EQ(r.status, 0) << r.out << r.err;
  const Json summary = Json::parse(r.last_line());
  for (const char* key : {"driver", "device", "profile", "cases", "passed", "failed", "crashed", "timed_out",
                          "mistrusted", "unsupported", "required_missing", "worst_ulp", "seconds", "digest"}) {
    EXPECT_TRUE(summary.contains(key)) << key;
  }
  EXPECT_GT(summary["cases"], 20);
  EXPECT_EQ(summary["cases"], summary["passed"]);
  const Json whole = Json::parse(contents_of(report / "report.json"));
  EXPECT_EQ(whole["run"]["filters"]["op"], "argmax");
  EXPECT_EQ(whole["run"]["filters"]["mode"], "strict");
  EXPECT_NE(whole["run"]["lockstep_version"], "");
  EXPECT_EQ(whole["run"]["driver"]["library_sha256"].get<std::string>().size(), 64u);
  EXPECT_TRUE(fs::exists(report / "report.html"));
  // The same seed gives the same result for every case.
  EXPECT_EQ(Json::parse(run(part).last_line())["digest"], summary["digest"]);
  // A case can be replayed by the id in the report.
  const std::string id = whole["cases"][3]["id"];
  const Result replayed = run("conformance --device reference --json --case '" + id + "'");
  EXPECT_EQ(replayed.status, 0) << replayed.out << replayed.err;
  EXPECT_EQ(Json::parse(replayed.last_line())["cases"], 1);
}

TEST_F(CommandLine, ConformanceWithoutACaseFails) {
  const Result r = run("conformance --device reference --op matmul --dtype bool --json");
  EXPECT_EQ(r.status, 1) << r.out << r.err;
  EXPECT_EQ(Json::parse(r.last_line())["cases"], 0);
}

}  // namespace
