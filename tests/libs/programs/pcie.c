/*
 * The habits of the vendor's C++ runtime on a host with a card, call by call. usage: pcie DIRECTORY STYLE
 *
 *   2026  all calls on one thread, which has the device's default context; a buffer for each tensor, copies between
 *   them;
 *         nothing but memory, IO objects and models is given back
 *   2024  tables of indices and masks on the card, to whose rows inputs are bound; K and V rows written in place; the
 *         output of a layer bound as the input of the next
 *   async the same, with the layers of a token queued on one stream and one wait for all
 *   pair  a model of two groups, whose second group gets null pointers for its caches
 */
#include <pthread.h>
#include <string.h>

#include "axcl_engine.h"
#include "axcl_rt.h"
#include "story.h"

struct tensor {
    char name[32];
    void *device;
    uint64_t size;
    size_t last; /* elements of the last dimension */
};

struct group {
    axclrtEngineIO io;
    struct tensor inputs[16], outputs[16];
};

struct runner {
    uint64_t model, context;
    axclrtEngineIOInfo info;
    int32_t count;
    uint32_t inputs, outputs;
    struct group groups[MAX_GROUPS];
};

static struct story story;
static struct runner runners[MAX_LAYERS + 1];

/* ---- the thread that makes all calls */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static void (*task)(void *);
static void *task_argument;
static bool over;

static void *work(void *unused) {
    (void)unused;
    axclrtDeviceList list;
    OK(axclrtGetDeviceList(&list));
    CHECK(list.num == 1 && list.devices[0] > 0);
    OK(axclrtSetDevice(list.devices[0]));
    OK(axclrtEngineInit(AXCL_VNPU_DISABLE));
    pthread_mutex_lock(&lock);
    while (!over) {
        if (task != NULL) {
            task(task_argument);
            task = NULL;
            pthread_cond_broadcast(&changed);
        }
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* Has the other thread do it, and waits. */
static void on_worker(void (*function)(void *), void *argument) {
    pthread_mutex_lock(&lock);
    task = function;
    task_argument = argument;
    pthread_cond_broadcast(&changed);
    while (task != NULL) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* ---- models */

static struct tensor *find(struct tensor *tensors, uint32_t count, const char *name) {
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(tensors[i].name, name) == 0) return &tensors[i];
    }
    FAIL("no tensor %s", name);
}

static struct tensor *input(struct runner *runner, size_t group, const char *name) {
    return find(runner->groups[group].inputs, runner->inputs, name);
}

static struct tensor *output(struct runner *runner, size_t group, const char *name) {
    return find(runner->groups[group].outputs, runner->outputs, name);
}

static void describe(struct tensor *tensor, const char *name, const axclrtEngineIODims *dims, uint64_t size) {
    CHECK(name != NULL && strlen(name) < sizeof tensor->name && dims->dimCount > 0 && size > 0);
    strcpy(tensor->name, name);
    tensor->size = size;
    tensor->last = (size_t)dims->dims[dims->dimCount - 1];
}

static void allocate(struct tensor *tensor) {
    OK(axclrtMalloc(&tensor->device, tensor->size, AXCL_MEM_MALLOC_HUGE_FIRST));
    OK(axclrtMemset(tensor->device, 0, tensor->size));
}

static bool is_cache(const char *name) {
    return strcmp(name, "K_cache") == 0 || strcmp(name, "V_cache") == 0;
}

static void open_runner(struct runner *runner, const char *path) {
    OK(axclrtEngineLoadFromFile(path, &runner->model));
    OK(axclrtEngineCreateContext(runner->model, &runner->context));
    OK(axclrtEngineGetIOInfo(runner->model, &runner->info));
    OK(axclrtEngineGetShapeGroupsCount(runner->info, &runner->count));
    CHECK(runner->count > 0 && runner->count <= MAX_GROUPS);
    runner->inputs = axclrtEngineGetNumInputs(runner->info);
    runner->outputs = axclrtEngineGetNumOutputs(runner->info);
    CHECK(runner->inputs <= 16 && runner->outputs <= 16);
    const uint32_t last = (uint32_t)runner->count - 1;
    for (uint32_t g = 0; g <= last; g++) {
        struct group *group = &runner->groups[g];
        axclrtEngineIODims dims;
        OK(axclrtEngineCreateIO(runner->info, &group->io));
        for (uint32_t i = 0; i < runner->inputs; i++) {
            struct tensor *tensor = &group->inputs[i];
            OK(axclrtEngineGetInputDims(runner->info, g, i, &dims));
            describe(tensor, axclrtEngineGetInputNameByIndex(runner->info, i), &dims,
                     axclrtEngineGetInputSizeByIndex(runner->info, g, i));
            if (g == 0 || (g == last && !is_cache(tensor->name))) allocate(tensor);
        }
        for (uint32_t i = 0; i < runner->outputs; i++) {
            struct tensor *tensor = &group->outputs[i];
            OK(axclrtEngineGetOutputDims(runner->info, g, i, &dims));
            describe(tensor, axclrtEngineGetOutputNameByIndex(runner->info, i), &dims,
                     axclrtEngineGetOutputSizeByIndex(runner->info, g, i));
            if (g == 0 || g == last) allocate(tensor);
        }
    }
}

/* The buffers of a group become those of another one; by index, because all groups have one order. */
static void share(struct runner *runner, uint32_t to, uint32_t from, bool only_caches) {
    struct group *a = &runner->groups[to], *b = &runner->groups[from];
    for (uint32_t i = 0; i < runner->inputs; i++) {
        if (only_caches && !is_cache(a->inputs[i].name)) continue;
        CHECK(b->inputs[i].size >= a->inputs[i].size || is_cache(a->inputs[i].name));
        a->inputs[i].device = b->inputs[i].device;
    }
    for (uint32_t i = 0; !only_caches && i < runner->outputs; i++) a->outputs[i].device = b->outputs[i].device;
}

/* Binds all there is, also null pointers; as the runtime does, without looking at the results. */
static void bind(struct runner *runner) {
    for (int32_t g = 0; g < runner->count; g++) {
        struct group *group = &runner->groups[g];
        for (uint32_t i = 0; i < runner->inputs; i++) {
            (void)axclrtEngineSetInputBufferByIndex(group->io, i, group->inputs[i].device, group->inputs[i].size);
        }
        for (uint32_t i = 0; i < runner->outputs; i++) {
            (void)axclrtEngineSetOutputBufferByIndex(group->io, i, group->outputs[i].device, group->outputs[i].size);
        }
    }
}

static void free_once(void *device, void **freed, size_t *count) {
    for (size_t i = 0; i < *count; i++) {
        if (freed[i] == device) return;
    }
    freed[(*count)++] = device;
    /* Of a group without memory too: the pointer is null then. */
    const axclError result = axclrtFree(device);
    CHECK(device == NULL || result == 0);
}

/* Memory first, while it is bound; descriptions of tensors never. */
static void close_runner(struct runner *runner) {
    void *freed[MAX_GROUPS * 32];
    size_t count = 0;
    for (int32_t g = 0; g < runner->count; g++) {
        struct group *group = &runner->groups[g];
        for (uint32_t i = 0; i < runner->outputs; i++) free_once(group->outputs[i].device, freed, &count);
        for (uint32_t i = 0; i < runner->inputs; i++) free_once(group->inputs[i].device, freed, &count);
        OK(axclrtEngineDestroyIO(group->io));
    }
    OK(axclrtEngineUnload(runner->model));
}

/* ---- style 2026 */

struct step {
    size_t layer, group, first, count;
    const char *tensor;
    const void *data;
    void *out;
    size_t size;
};

static void put_task(void *argument) {
    const struct step *step = argument;
    const struct tensor *tensor = input(&runners[step->layer], step->group, step->tensor);
    CHECK(step->size <= tensor->size);
    OK(axclrtMemcpy(tensor->device, step->data, step->size, AXCL_MEMCPY_HOST_TO_DEVICE));
}

static void put(size_t layer, size_t group, const char *tensor, const void *data, size_t size) {
    struct step step = {.layer = layer, .group = group, .tensor = tensor, .data = data, .size = size};
    on_worker(put_task, &step);
}

static void get_task(void *argument) {
    const struct step *step = argument;
    const struct tensor *tensor = output(&runners[step->layer], step->group, step->tensor);
    CHECK(step->size <= tensor->size);
    OK(axclrtMemcpy(step->out, tensor->device, step->size, AXCL_MEMCPY_DEVICE_TO_HOST));
}

static void get(size_t layer, size_t group, const char *tensor, void *data, size_t size) {
    struct step step = {.layer = layer, .group = group, .tensor = tensor, .out = data, .size = size};
    on_worker(get_task, &step);
}

static void run_task(void *argument) {
    const struct step *step = argument;
    struct runner *runner = &runners[step->layer];
    OK(axclrtEngineExecute(runner->model, runner->context, (uint32_t)step->group, runner->groups[step->group].io));
}

static void run(size_t layer, size_t group) {
    struct step step = {.layer = layer, .group = group};
    on_worker(run_task, &step);
}

static void keep_task(void *argument) {
    static const char *const names[2][2] = {{"K_cache_out", "K_cache"}, {"V_cache_out", "V_cache"}};
    const struct step *step = argument;
    for (size_t i = 0; i < 2; i++) {
        const struct tensor *rows = output(&runners[step->layer], step->group, names[i][0]);
        const struct tensor *cache = input(&runners[step->layer], 1, names[i][1]);
        const size_t row = rows->last * 2;
        CHECK((step->first + step->count) * row <= cache->size);
        /* Into the middle of a buffer. */
        OK(axclrtMemcpy((char *)cache->device + step->first * row, rows->device, step->count * row,
                        AXCL_MEMCPY_DEVICE_TO_DEVICE));
    }
}

static void keep(size_t layer, size_t group, size_t first, size_t count) {
    struct step step = {.layer = layer, .group = group, .first = first, .count = count};
    on_worker(keep_task, &step);
}

/* The first group's caches are too small for the others: they get those of the second, the largest. */
static void grow_caches(struct runner *runner) {
    for (uint32_t i = 0; i < runner->inputs; i++) {
        struct tensor *small = &runner->groups[0].inputs[i], *large = &runner->groups[1].inputs[i];
        if (!is_cache(small->name)) continue;
        OK(axclrtFree(small->device));
        allocate(large);
        small->device = large->device;
    }
}

static void open_all(void *argument) {
    (void)argument;
    for (size_t layer = 0; layer <= story.layers; layer++) {
        struct runner *runner = &runners[layer];
        open_runner(runner, layer_path(&story, layer));
        if (layer < story.layers) {
            const uint32_t last = (uint32_t)runner->count - 1;
            grow_caches(runner);
            share(runner, last, 0, true);
            for (uint32_t g = 1; g < last; g++) share(runner, g, last, false);
        }
        bind(runner);
    }
}

static void close_all(void *argument) {
    (void)argument;
    for (size_t layer = 0; layer <= story.layers; layer++) close_runner(&runners[layer]);
}

static struct port shapes(void) {
    struct port port = {.put = put, .run = run, .keep = keep, .get = get, .groups = (size_t)runners[0].count};
    for (size_t g = 0; g < port.groups; g++) {
        port.shapes[g] = shape_of(input(&runners[0], g, "indices")->size, input(&runners[0], g, "mask")->size);
    }
    return port;
}

static void tell_with_copies(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, work, NULL) == 0);
    on_worker(open_all, NULL);
    const struct port port = shapes();
    tell(&story, &port, "pcie 2026");
    on_worker(close_all, NULL);
    pthread_mutex_lock(&lock);
    over = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
}

/* ---- style 2024 */

static void *upload(const void *data, size_t size) {
    void *device = NULL;
    OK(axclrtMalloc(&device, size, AXCL_MEM_MALLOC_HUGE_FIRST));
    OK(axclrtMemcpy(device, data, size, AXCL_MEMCPY_HOST_TO_DEVICE));
    return device;
}

static void bind_input(struct runner *runner, size_t group, const char *name, void *device) {
    const int32_t index = axclrtEngineGetInputIndexByName(runner->info, name);
    CHECK(index >= 0);
    OK(axclrtEngineSetInputBufferByIndex(runner->groups[group].io, (uint32_t)index, device,
                                         input(runner, group, name)->size));
}

static void bind_output(struct runner *runner, size_t group, const char *name, void *device) {
    OK(axclrtEngineSetOutputBufferByName(runner->groups[group].io, name, device, output(runner, group, name)->size));
}

static void execute(struct runner *runner, size_t group) {
    OK(axclrtEngineExecute(runner->model, runner->context, (uint32_t)group, runner->groups[group].io));
}

/* Of the style that queues. */
static axclrtStream stream;

/* All layers in a row, each reading what the one before wrote. `caches` are those of the largest decode group. */
static void run_chain(size_t group, void *caches[][2], size_t offset, void *indices, void *mask) {
    for (size_t layer = 0; layer < story.layers; layer++) {
        struct runner *runner = &runners[layer];
        bind_input(runner, group, "indices", indices);
        bind_input(runner, group, "mask", mask);
        bind_output(runner, group, "K_cache_out", (char *)caches[layer][0] + offset);
        bind_output(runner, group, "V_cache_out", (char *)caches[layer][1] + offset);
        if (stream == NULL) {
            execute(runner, group);
        } else {
            OK(axclrtEngineExecuteAsync(runner->model, runner->context, (uint32_t)group, runner->groups[group].io,
                                        stream));
        }
    }
    if (stream != NULL) OK(axclrtSynchronizeStream(stream));
}

static uint32_t next_token(const void *hidden) {
    struct runner *head = &runners[story.layers];
    static uint16_t logits[4096];
    const struct tensor *output_tensor = output(head, 0, "output");
    CHECK(output_tensor->size <= sizeof logits);
    OK(axclrtMemcpy(input(head, 0, "input")->device, hidden, story.hidden * 2, AXCL_MEMCPY_DEVICE_TO_DEVICE));
    execute(head, 0);
    OK(axclrtMemcpy(logits, output_tensor->device, output_tensor->size, AXCL_MEMCPY_DEVICE_TO_HOST));
    return likeliest(logits, output_tensor->size / 2);
}

static void tell_in_place(bool queued) {
    axclrtDeviceList list;
    OK(axclrtGetDeviceList(&list));
    OK(axclrtSetDevice(list.devices[0]));
    OK(axclrtEngineInit(AXCL_VNPU_DISABLE));
    if (queued) OK(axclrtCreateStream(&stream));
    for (size_t layer = 0; layer <= story.layers; layer++) {
        struct runner *runner = &runners[layer];
        open_runner(runner, layer_path(&story, layer));
        for (uint32_t g = 1; layer < story.layers && g < 3; g++) {
            for (uint32_t i = 0; i < runner->inputs; i++) allocate(&runner->groups[g].inputs[i]);
            for (uint32_t i = 0; i < runner->outputs; i++) allocate(&runner->groups[g].outputs[i]);
        }
        bind(runner);
    }
    const struct port port = shapes();
    /* The largest decode group, and the prefill group without history. */
    const size_t decode = 1, prefill = 2;
    CHECK(port.shapes[decode].rows == 1 && port.shapes[decode].history > port.shapes[0].history);
    CHECK(port.shapes[prefill].history == 0);
    const size_t context = port.shapes[decode].history, columns = context + 1, chunk = port.shapes[prefill].rows;
    const size_t row = output(&runners[0], decode, "K_cache_out")->last * 2;

    void *caches[MAX_LAYERS][2];
    for (size_t layer = 0; layer < story.layers; layer++) {
        struct runner *runner = &runners[layer];
        caches[layer][0] = input(runner, decode, "K_cache")->device;
        caches[layer][1] = input(runner, decode, "V_cache")->device;
        for (size_t group = decode; layer + 1 < story.layers && group <= prefill; group++) {
            bind_input(&runners[layer + 1], group, "input", output(runner, group, "output")->device);
        }
    }
    /* One row for each position: the index, and the mask of a decode step. */
    uint32_t *indices = calloc(context, sizeof *indices);
    uint16_t *masks = calloc(context * columns, sizeof *masks);
    uint16_t *first_mask = calloc(chunk * chunk, sizeof *first_mask);
    CHECK(indices != NULL && masks != NULL && first_mask != NULL);
    for (size_t position = 0; position < context; position++) {
        indices[position] = (uint32_t)position;
        fill_mask(masks + position * columns, context, 1, position, 1);
    }
    fill_mask(first_mask, 0, chunk, 0, chunk);
    char *indices_table = upload(indices, context * sizeof *indices);
    char *mask_table = upload(masks, context * columns * sizeof *masks);
    void *chunk_mask = upload(first_mask, chunk * chunk * sizeof *first_mask);
    free(indices);
    free(masks);
    free(first_mask);

    const struct tensor *chunk_input = input(&runners[0], prefill, "input");
    for (size_t i = 0; i < chunk; i++) {
        OK(axclrtMemcpy((char *)chunk_input->device + i * story.hidden * 2, embedding_row(&story, story.prompt[i]),
                        story.hidden * 2, AXCL_MEMCPY_HOST_TO_DEVICE));
    }
    run_chain(prefill, caches, 0, indices_table, chunk_mask);
    uint32_t token = 0;
    for (size_t position = chunk; position < story.prompt_count + story.answer_count; position++) {
        const bool answering = position >= story.prompt_count;
        if (answering && token != story.answer[position - story.prompt_count]) FAIL("wrong token at %zu", position);
        const uint32_t read = answering ? token : story.prompt[position];
        OK(axclrtMemcpy(input(&runners[0], decode, "input")->device, embedding_row(&story, read), story.hidden * 2,
                        AXCL_MEMCPY_HOST_TO_DEVICE));
        run_chain(decode, caches, position * row, indices_table + position * 4, mask_table + position * columns * 2);
        token = next_token(output(&runners[story.layers - 1], decode, "output")->device);
    }
    OK(axclrtFree(indices_table));
    OK(axclrtFree(mask_table));
    OK(axclrtFree(chunk_mask));
    if (queued) OK(axclrtDestroyStream(stream));
    close_all(NULL);
    printf("pcie %s: all %zu tokens as expected\n", queued ? "async" : "2024", story.answer_count);
}

/* ---- style pair */

static void run_pair(const char *directory) {
    axclrtDeviceList list;
    OK(axclrtGetDeviceList(&list));
    OK(axclrtSetDevice(list.devices[0]));
    OK(axclrtEngineInit(AXCL_VNPU_DISABLE));
    struct runner *runner = &runners[0];
    open_runner(runner, in_directory(directory, "pair/llama_p128_l0_together.axmodel"));
    CHECK(runner->count == 2);
    bind(runner);
    execute(runner, 0);
    /* The second group was never given caches: an error, not a crash. */
    FAILS(axclrtEngineExecute(runner->model, runner->context, 1, runner->groups[1].io));
    execute(runner, 0);
    close_runner(runner);
    puts("pcie pair: null pointers are served");
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    OK(axclInit(NULL));
    story = read_story(argv[1]);
    if (strcmp(argv[2], "2026") == 0) {
        tell_with_copies();
    } else if (strcmp(argv[2], "pair") != 0) {
        tell_in_place(strcmp(argv[2], "async") == 0);
    } else {
        run_pair(argv[1]);
    }
    OK(axclFinalize());
    return 0;
}
