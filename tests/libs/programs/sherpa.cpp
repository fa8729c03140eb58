/*
 * The model runners of sherpa-onnx, as they are published, for both interfaces. usage: sherpa DIRECTORY
 *
 * The post model of the directory runs from its file, from device memory and on the board's interface, two at a time;
 * all give the same logits. What the runners check for themselves ends the process.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "ax_engine_api.h"
#include "ax_sys_api.h"
#include "sherpa-onnx/csrc/axcl/axcl-model.h"
#include "sherpa-onnx/csrc/axera/ax-engine-guard.h"
#include "sherpa-onnx/csrc/axera/utils.h"

#define CHECK(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            std::fprintf(stderr, "sherpa, line %d: not %s\n", __LINE__, #condition); \
            std::exit(1);                                                     \
        }                                                                     \
    } while (0)

using Bytes = std::vector<uint8_t>;

static Bytes read(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    CHECK(file.good());
    return {std::istreambuf_iterator<char>(file), {}};
}

/* One hidden state of bf16 values from 0.25 up, all different. */
static Bytes hidden(size_t bytes) {
    Bytes row(bytes);
    for (size_t i = 0; i < bytes / 2; i++) {
        const uint16_t value = static_cast<uint16_t>(0x3E80 + i);
        std::memcpy(&row[2 * i], &value, sizeof value);
    }
    return row;
}

static Bytes on_axcl(const sherpa_onnx::AxclModel &model) {
    CHECK(model.IsInitialized());
    CHECK(model.InputTensorNames() == std::vector<std::string>{"input"});
    CHECK(model.OutputTensorNames() == std::vector<std::string>{"output"});
    CHECK(model.HasTensor("input") && !model.HasTensor("indices"));
    const int32_t bytes = model.TensorSizeInBytes("input");
    const std::vector<int32_t> shape = model.TensorShape("input");
    CHECK(shape.size() == 3 && shape[0] == 1 && shape[1] == 1 && shape[2] * 2 == bytes);
    const Bytes row = hidden(static_cast<size_t>(bytes));
    std::vector<float> words(row.size() / sizeof(float));
    std::memcpy(words.data(), row.data(), row.size());
    CHECK(model.SetInputTensorData("input", words.data(), static_cast<int32_t>(words.size())));
    CHECK(model.Run());
    const std::vector<float> output = model.GetOutputTensorData("output");
    Bytes logits(output.size() * sizeof(float));
    std::memcpy(logits.data(), output.data(), logits.size());
    return logits;
}

static Bytes on_board(const Bytes &file) {
    sherpa_onnx::AxEngineGuard guard, second;
    AX_ENGINE_HANDLE handle = nullptr;
    AX_ENGINE_IO_INFO_T *info = nullptr;
    AX_ENGINE_IO_T io;
    sherpa_onnx::InitContext(file.data(), file.size(), true, &handle);
    sherpa_onnx::InitInputOutputAttrs(handle, true, &info);
    sherpa_onnx::PrepareIO(info, &io, true);
    const Bytes row = hidden(io.pInputs[0].nSize);
    std::memcpy(io.pInputs[0].pVirAddr, row.data(), row.size());
    CHECK(AX_ENGINE_RunSync(handle, &io) == 0);
    /* The runner's outputs are cached. */
    CHECK(AX_SYS_MinvalidateCache(io.pOutputs[0].phyAddr, io.pOutputs[0].pVirAddr, io.pOutputs[0].nSize) == 0);
    const auto *begin = static_cast<const uint8_t *>(io.pOutputs[0].pVirAddr);
    Bytes logits(begin, begin + io.pOutputs[0].nSize);
    sherpa_onnx::FreeIO(&io);
    CHECK(AX_ENGINE_DestroyHandle(handle) == 0);
    return logits;
}

int main(int count, char **arguments) {
    CHECK(count == 2);
    const std::string path = std::string(arguments[1]) + "/qwen3_post.axmodel";
    const Bytes file = read(path);
    Bytes logits;
    {
        const sherpa_onnx::AxclModel model(path);
        logits = on_axcl(model);
        CHECK(on_axcl(model) == logits);
        /* A second model beside it, in the reference count of the first. */
        CHECK(on_axcl(sherpa_onnx::AxclModel(path)) == logits);
    }
    CHECK(on_axcl(sherpa_onnx::AxclModel(file.data(), file.size())) == logits);
    CHECK(!sherpa_onnx::AxclModel(path, 1).IsInitialized());
    CHECK(on_board(file) == logits);
    bool differ = false;
    for (size_t i = 2; i < logits.size(); i++) differ |= logits[i] != logits[i - 2];
    CHECK(differ);
    std::puts("sherpa: the same logits by file, from memory and on the board");
}
