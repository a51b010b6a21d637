// Tests of weights in files: values keep their bits, files of other programs can be read, and a damaged file does no
// harm.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <limits>

#include "lockstep/lockstep.h"
#include "lockstep/testing.h"
#include "nn/test_files.h"

namespace lockstep {
namespace {

std::string little_endian(std::uint64_t number) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(number >> (8 * i));
  return bytes;
}

// A file in the format, made of its header and its data.
std::string file_of(const std::string& header, const std::string& data = "") {
  return little_endian(header.size()) + header + data;
}

class SafetensorsTest : public testing::Test {
 protected:
  TemporaryFolder folder;
  DeviceScope scope{Device("reference")};
};

class ModelFile : public SafetensorsTest {
 protected:
  static nn::Model make(std::int64_t units = 3) {
    nn::Model model(nn::Sequential(nn::Dense{.units = units}, nn::Relu{}, nn::Dense{.units = 2}));
    model.build({4}, Device("reference"));
    return model;
  }
  nn::Model model = make();
  std::string path = folder.file("weights.safetensors");
};

TEST_F(ModelFile, RoundTripGivesTheSameBits) {
  model.save_weights(path);
  nn::Model other = make();
  ASSERT_NE(other.weights_sha256(), model.weights_sha256()) << "initial values differ";
  other.load_weights(path);
  EXPECT_EQ(other.weights_sha256(), model.weights_sha256());
  for (std::size_t i = 0; i < model.variables().size(); ++i) {
    EXPECT_EQ(other.variables()[i].read().to_bytes(), model.variables()[i].read().to_bytes());
  }
  EXPECT_EQ(folder.file_count(), 1u) << "no temporary file stays";
}

TEST_F(ModelFile, LoadedVariablesTrainOn) {
  model.save_weights(path);
  model.load_weights(path);
  model.compile({.optimizer = optim::Sgd{}, .loss = losses::MeanSquaredError{}});
  const std::string loaded = model.weights_sha256();
  model.train_step({ones({5, 4}), zeros({5, 2})});
  EXPECT_NE(model.weights_sha256(), loaded);
}

TEST_F(ModelFile, LoadedWeightsLieOnTheModelsDevice) {
  model.save_weights(path);
  const DeviceScope elsewhere{Device("cpu")};
  model.load_weights(path);
  for (const Variable& v : model.variables()) EXPECT_EQ(v.device(), Device("reference")) << v.name();
}

TEST_F(ModelFile, SavingOverAFileReplacesItWhole) {
  folder.write("weights.safetensors", std::string(100000, 'x'));
  model.save_weights(path);
  EXPECT_NO_THROW(model.load_weights(path));
}

// Checks every way in which a file can belong to a different model.
TEST_F(ModelFile, RefusesOtherModelsAndKeepsItsWeights) {
  const std::string before = model.weights_sha256();
  const auto refuse = [&](std::map<std::string, Tensor> tensors, const std::string& part) {
    save_tensors(path, tensors);
    expect_io_error(ErrorId::does_not_match, path, part, [&] { model.load_weights(path); });
    EXPECT_EQ(model.weights_sha256(), before) << part;
  };
  std::map<std::string, Tensor> good;
  for (const Variable& v : model.variables()) good.emplace(v.name(), v.read() + 1.0);
  auto tensors = good;
  tensors.erase("dense_1/kernel");
  refuse(tensors, "there is no tensor \"dense_1/kernel\"");
  tensors = good;
  tensors.emplace("dense_2/kernel", ones({2}));
  refuse(tensors, "it holds 5 tensors, the model has 4");
  tensors = good;
  tensors.at("dense_1/bias") = ones({3});
  refuse(tensors, "\"dense_1/bias\" is f32 (3), the model has f32 (2)");
  tensors = good;
  tensors.at("dense/kernel") = cast(tensors.at("dense/kernel"), DType::f64);
  refuse(tensors, "is f64 (4, 3), the model has f32 (4, 3)");
  save_tensors(path, good);
  EXPECT_NO_THROW(model.load_weights(path));
}

TEST_F(ModelFile, AFailureWhileLoadingKeepsEveryWeight) {
  make().save_weights(path);
  const std::string before = model.weights_sha256();
  const Device device("reference");
  for (std::uint64_t k = 1;; ++k) {
    release_cached_memory(device);
    const std::uint64_t live = memory_stats(device).live;
    FaultInjection fault(k);
    bool failed = false;
    try {
      model.load_weights(path);
    } catch (const Error&) {
      failed = true;
    }
    EXPECT_TRUE(fault.fired() || !failed);
    if (!fault.fired()) break;
    ASSERT_EQ(model.weights_sha256(), before) << "after a fault at " << fault.site();
    EXPECT_EQ(memory_stats(device).live, live) << "leak after a fault at " << fault.site();
  }
  EXPECT_NE(model.weights_sha256(), before);
}

TEST_F(ModelFile, EveryTruncationIsRefused) {
  model.save_weights(path);
  const std::string whole = read_file(path), before = model.weights_sha256();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    folder.write("weights.safetensors", whole.substr(0, size));
    try {
      model.load_weights(path);
      FAIL() << "a file of " << size << " bytes out of " << whole.size() << " was accepted";
    } catch (const IoError& e) {
      ASSERT_TRUE(e.id() == ErrorId::truncated || e.id() == ErrorId::corrupt) << e.what();
    }
  }
  EXPECT_EQ(model.weights_sha256(), before);
}

// Flips each bit. The load either succeeds (if the bit belongs to a weight or to the metadata) or throws an IoError.
TEST_F(ModelFile, FlippedBitsOfTheHeaderAreNoMoreThanIoErrors) {
  model.save_weights(path);
  const std::string whole = read_file(path);
  std::uint64_t header = 0;
  std::memcpy(&header, whole.data(), 8);
  int refused = 0;
  for (std::size_t bit = 0; bit < 8 * (8 + header); bit += 7) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    folder.write("weights.safetensors", flipped);
    try {
      model.load_weights(path);
    } catch (const IoError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
}

TEST_F(SafetensorsTest, EveryDtypeAndShapeComesBack) {
  std::map<std::string, Tensor> tensors;
  for (int t = 0; t < dtype_count; ++t) {
    const auto dtype = static_cast<DType>(t);
    tensors.emplace(std::string(name_of(dtype)), cast(Tensor({0, 1, 1, 0, 1, 1}), dtype));
  }
  tensors.emplace("scalar", Tensor(2.5f));
  tensors.emplace("empty", zeros({0, 3}));
  tensors.emplace("of rank eight", ones({1, 2, 1, 1, 1, 1, 1, 3}));
  // Without elements, extents may have a product that 64 bits do not count.
  constexpr std::int64_t two_32 = std::int64_t{1} << 32, two_62 = std::int64_t{1} << 62;
  tensors.emplace("far, then empty", zeros({two_62, 0}));
  tensors.emplace("empty, then far", zeros({0, two_62}));
  tensors.emplace("far twice, then empty", zeros({two_32, two_32, 0}));
  tensors.emplace("slice", slice(reshape(arange(12, DType::f32), {3, 4}), {Slice{1, 1, 3, 1}}));
  tensors.emplace("named \"so\" / ünïcode", ones({1}));
  const std::string path = folder.file("all");
  save_tensors(path, tensors, {{"step", "17"}});
  const TensorFile file = load_tensors(path);
  EXPECT_EQ(file.metadata.at("step"), "17");
  ASSERT_EQ(file.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(file.tensors.at(name).spec(), tensor.spec()) << name;
    EXPECT_EQ(file.tensors.at(name).to_bytes(), tensor.to_bytes()) << name;
  }
}

TEST_F(SafetensorsTest, ReadsWhatOtherProgramsWrite) {
  // As the format's own library writes it: no spaces, tensors ordered by alignment, padding with spaces.
  const std::string header = R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F64","shape":[],"data_offsets":[0,8]},)"
                             R"("a":{"dtype":"I32","shape":[2,1],"data_offsets":[8,16]}}   )";
  const double number = 1.5;
  const std::int32_t integers[2] = {7, -1};
  std::string data(reinterpret_cast<const char*>(&number), 8);
  data.append(reinterpret_cast<const char*>(integers), 8);
  const TensorFile file = load_tensors(folder.write("other", file_of(header, data)));
  EXPECT_EQ(file.metadata.at("format"), "pt");
  EXPECT_EQ(file.tensors.at("b").item<double>(), 1.5);
  EXPECT_EQ(file.tensors.at("a").to_vector<std::int32_t>(), (std::vector<std::int32_t>{7, -1}));
  EXPECT_EQ(file.tensors.at("a").shape(), (Shape{2, 1}));
  EXPECT_TRUE(load_tensors(folder.write("bare", file_of("{}"))).tensors.empty());
}

TEST_F(SafetensorsTest, WritesWhatTheFormatAsksFor) {
  const std::string path = folder.file("written");
  save_tensors(path, {{"w", Tensor({1.0f, 2.0f})}, {"b", Tensor({std::int64_t{3}})}});
  const std::string bytes = read_file(path);
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  EXPECT_EQ(header % 8, 0u) << "the data is aligned";
  EXPECT_EQ(bytes.substr(8, header).substr(0, 1), "{");
  EXPECT_EQ(bytes.size(), 8 + header + 16);
  EXPECT_NE(bytes.find(R"("b":{"dtype":"I64","shape":[1],"data_offsets":[0,8]})"), std::string::npos);
  EXPECT_NE(bytes.find(R"("w":{"dtype":"F32","shape":[2],"data_offsets":[8,16]})"), std::string::npos);
}

struct Damage {
  const char* name;
  ErrorId id;
  std::string bytes;
  const char* part;
};

std::string tensor_file(const std::string& dtype, const std::string& shape, const std::string& offsets,
                        std::size_t data) {
  return file_of(R"({"t":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}",
                 std::string(data, 'x'));
}

std::vector<Damage> damages() {
  constexpr ErrorId corrupt = ErrorId::corrupt, magic = ErrorId::wrong_magic, cut = ErrorId::truncated;
  const std::string f32 = R"("F32")", two = R"("u":{"dtype":"U8","shape":[4],"data_offsets":)";
  const auto pair = [&](const char* offsets) {
    return file_of(R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)" + two + offsets + "}}",
                   std::string(8, 'x'));
  };
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  std::string deep_objects;
  for (int i = 0; i < 50'000; ++i) deep_objects += R"({"a":)";
  deep_objects += "1" + std::string(50'000, '}');
  return {
      {"Empty", cut, "", "shorter than its header"},
      {"HalfALength", cut, std::string("\x10\0\0", 3), "shorter than its header"},
      {"HeaderBeyondTheFile", cut, little_endian(100) + "{}", "ends within its header"},
      {"HeaderWithoutBounds", magic, little_endian(~std::uint64_t{0}) + "{}", "length of a header"},
      {"HeaderOfZeroBytes", magic, little_endian(0), "length of a header"},
      {"NotJson", magic, file_of("{\"a\": nonsense"), "no JSON header"},
      {"NoObject", magic, file_of("[1, 2]"), "no JSON header"},
      {"DeepNesting", magic, file_of(std::string(200000, '[')), "no JSON header"},
      {"DeepShape", corrupt, tensor_file(f32, deep, "[0,4]", 4), "nested more deeply"},
      {"DeepOffsets", corrupt, tensor_file(f32, "[1]", deep, 4), "nested more deeply"},
      {"DeepDtype", corrupt, tensor_file(deep, "[1]", "[0,4]", 4), "nested more deeply"},
      {"DeepObjects", corrupt, tensor_file(deep_objects, "[1]", "[0,4]", 4), "nested more deeply"},
      {"DeepMetadata", corrupt, file_of(R"({"__metadata__":{"a":)" + deep + "}}"), "nested more deeply"},
      {"ListInAShape", corrupt, tensor_file(f32, "[[1]]", "[0,4]", 4), "nested more deeply"},
      {"TensorThatIsANumber", corrupt, file_of(R"({"t":3})"), "\"t\""},
      {"NoDtype", corrupt, file_of(R"({"t":{"shape":[],"data_offsets":[0,0]}})"), "has no dtype"},
      {"UnknownDtype", corrupt, tensor_file(R"("F8_E4M3")", "[1]", "[0,1]", 1), "F8_E4M3"},
      {"DtypeThatIsANumber", corrupt, tensor_file("4", "[1]", "[0,4]", 4), "has no dtype"},
      {"NoShape", corrupt, file_of(R"({"t":{"dtype":"F32","data_offsets":[0,4]}})", "1234"), "list of shape"},
      {"ShapeThatIsAText", corrupt, tensor_file(f32, "\"1\"", "[0,4]", 4), "list of shape"},
      {"NegativeExtent", corrupt, tensor_file(f32, "[-1]", "[0,4]", 4), "an extent of -1"},
      {"TwoNegativeExtents", corrupt, tensor_file(f32, "[-1,-1]", "[0,4]", 4), "an extent of -1"},
      {"FractionalExtent", corrupt, tensor_file(f32, "[1.0]", "[0,4]", 4), "an extent of 1.0"},
      {"ExtentBeyond63Bits", corrupt, tensor_file(f32, "[9223372036854775808,0]", "[0,0]", 0), "impossible extent"},
      {"ProductThatOverflows", corrupt, tensor_file(f32, "[4294967296,4294967296]", "[0,0]", 0), "impossible shape"},
      {"ProductThatOverflowsByTheDtype", corrupt, tensor_file(f32, "[4611686018427387904]", "[0,0]", 0),
       "impossible shape"},
      {"RankOfNine", corrupt, tensor_file(f32, "[1,1,1,1,1,1,1,1,1]", "[0,4]", 4), "rank 9"},
      {"NoOffsets", corrupt, file_of(R"({"t":{"dtype":"F32","shape":[1]}})", "1234"), "data_offsets"},
      {"ThreeOffsets", corrupt, tensor_file(f32, "[1]", "[0,4,8]", 4), "data_offsets"},
      {"NegativeOffset", corrupt, tensor_file(f32, "[1]", "[-4,0]", 4), "an offset of -4"},
      {"OffsetsInReverse", corrupt, tensor_file(f32, "[1]", "[4,0]", 4), "do not fit"},
      {"OffsetsThatDoNotFitTheShape", corrupt, tensor_file(f32, "[2]", "[0,4]", 4), "do not fit"},
      {"OffsetsBeyondTheFile", cut, tensor_file(f32, "[2]", "[0,8]", 4), "ends before tensor"},
      {"FarOffsets", cut, tensor_file(f32, "[1]", "[18446744073709551608,18446744073709551612]", 4),
       "ends before tensor"},
      {"Overlap", corrupt, pair("[2,6]"), "overlaps"},
      {"SameBytesTwice", corrupt, pair("[0,4]"), "overlaps"},
      {"DataThatIsNobodys", corrupt, tensor_file(f32, "[1]", "[0,4]", 9), "5 bytes belong to no tensor"},
      {"Gap", corrupt, tensor_file(f32, "[1]", "[4,8]", 8), "follows a gap"},
      {"BooleansThatAreNeither0Nor1", corrupt, tensor_file(R"("BOOL")", "[2]", "[0,2]", 2), "neither 0 nor 1"},
      {"MetadataThatIsAList", corrupt, file_of(R"({"__metadata__":[1]})"), "metadata"},
      {"MetadataOfNumbers", corrupt, file_of(R"({"__metadata__":{"a":1}})"), "metadata"},
      {"SameNameTwice", corrupt,
       file_of(
           R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"t":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
           std::string(8, 'x')),
       "names \"t\" twice"},
      {"SameNameTwiceForTheSameBytes", corrupt,
       file_of(
           R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"t":{"dtype":"I8","shape":[4],"data_offsets":[0,4]}})",
           "1234"),
       "names \"t\" twice"},
      {"SameNameTwiceWrittenDifferently", corrupt,
       file_of(
           R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0074":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"),
       "names \"t\" twice"},
      {"DtypeTwice", corrupt, file_of(R"({"t":{"dtype":"U8","dtype":"I8","shape":[4],"data_offsets":[0,4]}})", "1234"),
       "names \"dtype\" twice"},
      {"MetadataTwice", corrupt, file_of(R"({"__metadata__":{"a":"1"},"__metadata__":{"b":"1"}})"),
       "names \"__metadata__\" twice"},
      {"MetadataKeyTwice", corrupt, file_of(R"({"__metadata__":{"a":"1","a":"2"}})"), "names \"a\" twice"},
  };
}

class DamagedFile : public testing::TestWithParam<Damage> {};

TEST_P(DamagedFile, IsRefusedWithItsReason) {
  const DeviceScope scope{Device("reference")};
  const TemporaryFolder folder;
  const std::string path = folder.write("damaged", GetParam().bytes);
  expect_io_error(GetParam().id, path, GetParam().part, [&] { load_tensors(path); });
}

INSTANTIATE_TEST_SUITE_P(All, DamagedFile, testing::ValuesIn(damages()),
                         [](const testing::TestParamInfo<Damage>& test) { return test.param.name; });

TEST_F(SafetensorsTest, MissingFilesAndFoldersAreNotFound) {
  const std::string missing = folder.file("nothing here");
  expect_io_error(ErrorId::file_not_found, missing, "No such file", [&] { load_tensors(missing); });
  const std::string here = folder.file("");
  expect_io_error(ErrorId::file_not_found, here, "is a folder", [&] { load_tensors(here); });
  const std::string pipe = folder.file("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  expect_io_error(ErrorId::file_not_found, pipe, "is not a regular file", [&] { load_tensors(pipe); });
}

TEST_F(SafetensorsTest, PathsWithANulByteAreRefused) {
  const std::string whole = folder.file("file"), cut = whole + std::string("\0more", 5);
  expect_io_error(ErrorId::cannot_write, whole, "a NUL byte", [&] { save_tensors(cut, {{"a", ones({3})}}); });
  save_tensors(whole, {{"a", ones({3})}});
  expect_io_error(ErrorId::file_not_found, whole, "a NUL byte", [&] { load_tensors(cut); });
}

TEST_F(SafetensorsTest, TwoVariablesOfOneNameAreNotSaved) {
  const std::vector<Variable> twins = {Variable(1.0f, "same"), Variable(2.0f, "same")};
  EXPECT_THROW(save_weights(folder.file("twins"), twins), StateError);
  EXPECT_EQ(folder.file_count(), 0u);
}

}  // namespace
}  // namespace lockstep
