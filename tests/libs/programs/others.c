/*
 * Other programs' habits. usage: others DIRECTORY PROGRAM
 *
 *   sherpa-card, sherpa-board  speech programs: models of one group; a context looked up before each run
 *   samples                    the vendor's samples: buffers filled by copying, not by setting
 *   run-model                  its runner of any model: figures, versions, batch size
 *
 * The head of the model stands for theirs, which have one group too. The result is compared with that of the first
 * program.
 */
#include <pthread.h>
#include <string.h>

#include "ax_engine.h"
#include "ax_sys.h"
#include "axcl_engine.h"
#include "axcl_rt.h"
#include "story.h"

static struct story story;
static int32_t device;

/* What the head likes best after the first row of the embedding. */
static void conclude(const char *who, const uint16_t *logits, size_t size) {
    printf("%s: %u\n", who, likeliest(logits, size / 2));
}

static void start(const char *config) {
    axclrtDeviceList list;
    OK(axclInit(config));
    OK(axclrtGetDeviceList(&list));
    CHECK(list.num > 0);
    device = list.devices[0];
    OK(axclrtSetDevice(device));
    OK(axclrtEngineInit(AXCL_VNPU_DISABLE));
}

struct bound {
    uint64_t model, context;
    axclrtEngineIOInfo info;
    axclrtEngineIO io;
    void *input, *output;
    uint64_t input_size, output_size;
};

static struct bound bind(uint64_t model) {
    struct bound bound = {.model = model};
    int32_t groups = 0;
    OK(axclrtEngineCreateContext(model, &bound.context));
    OK(axclrtEngineGetIOInfo(model, &bound.info));
    OK(axclrtEngineGetShapeGroupsCount(bound.info, &groups));
    CHECK(groups == 1);
    CHECK(axclrtEngineGetNumInputs(bound.info) == 1 && axclrtEngineGetNumOutputs(bound.info) == 1);
    OK(axclrtEngineCreateIO(bound.info, &bound.io));
    bound.input_size = axclrtEngineGetInputSizeByIndex(bound.info, 0, 0);
    bound.output_size = axclrtEngineGetOutputSizeByIndex(bound.info, 0, 0);
    OK(axclrtMalloc(&bound.input, bound.input_size, AXCL_MEM_MALLOC_HUGE_FIRST));
    OK(axclrtMalloc(&bound.output, bound.output_size, AXCL_MEM_MALLOC_HUGE_FIRST));
    OK(axclrtEngineSetInputBufferByIndex(bound.io, 0, bound.input, bound.input_size));
    OK(axclrtEngineSetOutputBufferByIndex(bound.io, 0, bound.output, bound.output_size));
    return bound;
}

static void run(struct bound *bound, const char *who) {
    uint16_t *logits = malloc(bound->output_size);
    CHECK(logits != NULL && bound->input_size == story.hidden * 2);
    OK(axclrtMemcpy(bound->input, embedding_row(&story, 0), bound->input_size, AXCL_MEMCPY_HOST_TO_DEVICE));
    OK(axclrtEngineExecute(bound->model, bound->context, 0, bound->io));
    OK(axclrtMemcpy(logits, bound->output, bound->output_size, AXCL_MEMCPY_DEVICE_TO_HOST));
    conclude(who, logits, bound->output_size);
    free(logits);
}

static void drop(struct bound *bound) {
    OK(axclrtFree(bound->input));
    OK(axclrtFree(bound->output));
    OK(axclrtEngineDestroyIO(bound->io));
    OK(axclrtEngineUnload(bound->model));
}

/* On any thread: it takes the device's default context first, by a function that no header has. */
static void *run_sherpa(void *argument) {
    axclrtContext context = NULL;
    OK(axclrtGetDefaultContext(&context, device));
    CHECK(context != NULL);
    OK(axclrtSetCurrentContext(context));
    run(argument, "sherpa-card");
    return NULL;
}

static void sherpa_card(void) {
    start("/usr/bin/axcl/axcl.json");
    uint64_t from_file = 0, from_memory = 0;
    OK(axclrtEngineLoadFromFile(layer_path(&story, story.layers), &from_file));
    struct bound first = bind(from_file);
    /* Or the model is copied to the card and loaded from there; the copy goes at once. */
    const struct file file = map_file(layer_path(&story, story.layers));
    void *copy = NULL;
    OK(axclrtMalloc(&copy, file.size, AXCL_MEM_MALLOC_NORMAL_ONLY));
    OK(axclrtMemcpy(copy, file.data, file.size, AXCL_MEMCPY_HOST_TO_DEVICE));
    OK(axclrtEngineLoadFromMem(copy, file.size, &from_memory));
    OK(axclrtFree(copy));
    unmap_file(file);
    struct bound second = bind(from_memory);
    run_sherpa(&first);
    run_sherpa(&second);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run_sherpa, &second) == 0);
    pthread_join(thread, NULL);
    drop(&first);
    drop(&second);
    OK(axclrtResetDevice(device));
    OK(axclFinalize());
}

static void sherpa_board(void) {
    AX_ENGINE_NPU_ATTR_T attr;
    AX_ENGINE_HANDLE handle = NULL;
    AX_ENGINE_IO_INFO_T *info = NULL;
    AX_ENGINE_IO_BUFFER_T input, output;
    AX_ENGINE_IO_T io;
    memset(&attr, 0, sizeof attr);
    memset(&input, 0, sizeof input);
    memset(&output, 0, sizeof output);
    memset(&io, 0, sizeof io);
    OK(AX_SYS_Init());
    OK(AX_ENGINE_Init(&attr));
    const struct file file = map_file(layer_path(&story, story.layers));
    OK(AX_ENGINE_CreateHandle(&handle, file.data, (AX_U32)file.size));
    OK(AX_ENGINE_CreateContext(handle));
    OK(AX_ENGINE_GetIOInfo(handle, &info));
    CHECK(info->nInputSize == 1 && info->nOutputSize == 1);
    input.nSize = info->pInputs[0].nSize;
    output.nSize = info->pOutputs[0].nSize;
    OK(AX_SYS_MemAllocCached(&input.phyAddr, &input.pVirAddr, input.nSize, 128, (const AX_S8 *)"sample"));
    OK(AX_SYS_MemAllocCached(&output.phyAddr, &output.pVirAddr, output.nSize, 128, (const AX_S8 *)"sample"));
    io.pInputs = &input;
    io.pOutputs = &output;
    io.nInputSize = io.nOutputSize = 1;
    memcpy(input.pVirAddr, embedding_row(&story, 0), input.nSize);
    OK(AX_SYS_MflushCache(input.phyAddr, input.pVirAddr, input.nSize));
    OK(AX_ENGINE_RunSync(handle, &io));
    OK(AX_SYS_MinvalidateCache(output.phyAddr, output.pVirAddr, output.nSize));
    conclude("sherpa-board", output.pVirAddr, output.nSize);
    OK(AX_SYS_MemFree(input.phyAddr, input.pVirAddr));
    OK(AX_SYS_MemFree(output.phyAddr, output.pVirAddr));
    OK(AX_ENGINE_DestroyHandle(handle));
    unmap_file(file);
    OK(AX_ENGINE_Deinit());
    OK(AX_SYS_Deinit());
}

static void samples(void) {
    start(0);
    uint64_t model = 0;
    OK(axclrtEngineLoadFromFile(layer_path(&story, story.layers), &model));
    struct bound bound = bind(model);
    /* Cleared by a copy of zeros, not by setting. */
    void *zeros = calloc(1, bound.output_size);
    CHECK(zeros != NULL);
    OK(axclrtMemcpy(bound.output, zeros, bound.output_size, AXCL_MEMCPY_HOST_TO_DEVICE));
    free(zeros);
    run(&bound, "samples");
    drop(&bound);
    OK(axclrtEngineFinalize());
    OK(axclrtResetDevice(device));
    OK(axclFinalize());
}

static void run_model(void) {
    start("");
    const char *path = layer_path(&story, story.layers);
    int64_t system_size = -1, cmm_size = -1, cmm_of_model = -1;
    axclrtEngineModelKind kind, kind_of_model;
    axclrtEngineVNpuKind npu;
    int32_t major = 0, minor = 0, patch = 0;
    uint64_t model = 0;
    OK(axclrtGetVersion(&major, &minor, &patch));
    CHECK(major > 0 && axclrtGetFullVersion() != NULL && strlen(axclrtGetSocName()) > 0);
    OK(axclrtEngineGetVNpuKind(&npu));
    CHECK(npu == AXCL_VNPU_DISABLE);
    OK(axclrtEngineGetUsage(path, &system_size, &cmm_size));
    OK(axclrtEngineGetModelType(path, &kind));
    OK(axclrtEngineLoadFromFile(path, &model));
    OK(axclrtEngineGetUsageFromModelId(model, &system_size, &cmm_of_model));
    OK(axclrtEngineGetModelTypeFromModelId(model, &kind_of_model));
    CHECK(system_size >= 0 && cmm_size > 0 && cmm_size == cmm_of_model && kind == kind_of_model);
    CHECK(strlen(axclrtEngineGetModelCompilerVersion(model)) > 0);
    struct bound bound = bind(model);
    axclrtEngineDataType type;
    axclrtEngineDataLayout layout;
    OK(axclrtEngineGetInputDataType(bound.info, 0, &type));
    OK(axclrtEngineGetInputDataLayout(bound.info, 0, &layout));
    CHECK(type == AXCL_DATA_TYPE_BF16);
    OK(axclrtEngineSetDynamicBatchSize(bound.io, 1));
    for (int repeat = 0; repeat < 3; repeat++) run(&bound, "run-model");
    OK(axclrtEngineDestroyIOInfo(bound.info));
    drop(&bound);
    OK(axclrtEngineFinalize());
    OK(axclrtResetDevice(device));
    OK(axclFinalize());
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } programs[] = {
        {"sherpa-card", sherpa_card}, {"sherpa-board", sherpa_board}, {"samples", samples}, {"run-model", run_model}};
    CHECK(argc == 3);
    story = read_story(argv[1]);
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        if (strcmp(argv[2], programs[i].name) == 0) {
            programs[i].run();
            return 0;
        }
    }
    FAIL("no program %s", argv[2]);
}
