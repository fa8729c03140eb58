#define _POSIX_C_SOURCE 200809L

#include "story.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_ROWS 128
/* -65536 in bf16: the vendor's value for what may not be seen. */
#define BLOCKED 0xC780
#define MAX_MASK (CHUNK_ROWS * 1024)
#define MAX_VOCABULARY 4096

struct file map_file(const char *path) {
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) FAIL("%s cannot be opened", path);
    struct stat status;
    CHECK(fstat(descriptor, &status) == 0 && status.st_size > 0);
    const size_t size = (size_t)status.st_size;
    void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    CHECK(data != MAP_FAILED);
    close(descriptor);
    return (struct file){data, size};
}

void unmap_file(struct file file) {
    CHECK(munmap((void *)(uintptr_t)file.data, file.size) == 0);
}

const char *in_directory(const char *directory, const char *name) {
    static char path[4096];
    const int length = snprintf(path, sizeof path, "%s/%s", directory, name);
    CHECK(length > 0 && (size_t)length < sizeof path);
    return path;
}

static size_t read_numbers(FILE *file, uint32_t *numbers) {
    char line[8 * MAX_TOKENS];
    CHECK(fgets(line, sizeof line, file) != NULL);
    size_t count = 0;
    for (char *word = strtok(line, " \n"); word != NULL; word = strtok(NULL, " \n")) {
        CHECK(count < MAX_TOKENS);
        numbers[count++] = (uint32_t)strtoul(word, NULL, 10);
    }
    return count;
}

struct story read_story(const char *directory) {
    struct story story = {.directory = directory};
    FILE *file = fopen(in_directory(directory, "story"), "r");
    CHECK(file != NULL);
    CHECK(read_numbers(file, story.prompt) == 2);
    story.layers = story.prompt[0];
    story.hidden = story.prompt[1];
    CHECK(story.layers > 0 && story.layers < MAX_LAYERS);
    story.prompt_count = read_numbers(file, story.prompt);
    story.answer_count = read_numbers(file, story.answer);
    CHECK(story.prompt_count > CHUNK_ROWS && story.answer_count > 1);
    fclose(file);
    story.embedding = map_file(in_directory(directory, "model.embed_tokens.weight.bfloat16.bin"));
    return story;
}

const char *layer_path(const struct story *story, size_t layer) {
    char name[64];
    snprintf(name, sizeof name, "qwen3_p%d_l%zu_together.axmodel", CHUNK_ROWS, layer);
    return in_directory(story->directory, layer == story->layers ? "qwen3_post.axmodel" : name);
}

const uint16_t *embedding_row(const struct story *story, uint32_t token) {
    const size_t start = token * story->hidden;
    CHECK((start + story->hidden) * 2 <= story->embedding.size);
    return (const uint16_t *)story->embedding.data + start;
}

struct shape shape_of(size_t indices_bytes, size_t mask_bytes) {
    const size_t rows = indices_bytes / 4;
    CHECK(rows > 0 && mask_bytes % (2 * rows) == 0 && mask_bytes / 2 / rows >= rows);
    return (struct shape){.rows = rows, .history = mask_bytes / 2 / rows - rows};
}

void fill_mask(uint16_t *mask, size_t history, size_t rows, size_t first, size_t count) {
    const size_t columns = history + rows;
    for (size_t row = 0; row < rows; row++) {
        for (size_t column = 0; column < columns; column++) {
            const bool seen = column < history ? column < first : column - history <= row;
            mask[row * columns + column] = row < count && seen ? 0 : BLOCKED;
        }
    }
}

size_t pick_group(const struct port *port, bool decode, size_t needed) {
    size_t best = port->groups;
    for (size_t group = 0; group < port->groups; group++) {
        const struct shape *shape = &port->shapes[group];
        if ((shape->rows == 1) != decode || shape->history < needed) continue;
        if (best == port->groups || shape->history < port->shapes[best].history) best = group;
    }
    CHECK(best < port->groups);
    return best;
}

uint32_t likeliest(const uint16_t *logits, size_t count) {
    size_t best = 0;
    float largest = 0;
    for (size_t token = 0; token < count; token++) {
        const uint32_t bits = (uint32_t)logits[token] << 16;
        float logit;
        memcpy(&logit, &bits, sizeof logit);
        CHECK(logit == logit);
        if (token == 0 || logit > largest) {
            best = token;
            largest = logit;
        }
    }
    return (uint32_t)best;
}

/* Runs the layers over `count` rows; `hidden` has room for all rows of the group. */
static void run_layers(const struct story *story, const struct port *port, size_t group, size_t first, size_t count,
                       uint16_t *hidden) {
    static uint16_t mask[MAX_MASK];
    const struct shape shape = port->shapes[group];
    CHECK(shape.rows <= CHUNK_ROWS && shape.rows * (shape.history + shape.rows) <= MAX_MASK);
    uint32_t indices[CHUNK_ROWS];
    for (size_t row = 0; row < shape.rows; row++) indices[row] = (uint32_t)(row < count ? first + row : 0);
    fill_mask(mask, shape.history, shape.rows, first, count);
    for (size_t layer = 0; layer < story->layers; layer++) {
        port->put(layer, group, "indices", indices, shape.rows * 4);
        port->put(layer, group, "mask", mask, shape.rows * (shape.history + shape.rows) * 2);
        port->put(layer, group, "input", hidden, shape.rows * story->hidden * 2);
        port->run(layer, group);
        port->keep(layer, group, first, count);
        port->get(layer, group, "output", hidden, shape.rows * story->hidden * 2);
    }
}

static uint32_t run_head(const struct story *story, const struct port *port, const uint16_t *hidden) {
    static uint16_t logits[MAX_VOCABULARY];
    const size_t vocabulary = story->embedding.size / 2 / story->hidden;
    CHECK(vocabulary <= MAX_VOCABULARY);
    port->put(story->layers, 0, "input", hidden, story->hidden * 2);
    port->run(story->layers, 0);
    port->get(story->layers, 0, "output", logits, vocabulary * 2);
    return likeliest(logits, vocabulary);
}

uint32_t read_prompt(const struct story *story, const struct port *port) {
    static uint16_t hidden[CHUNK_ROWS * 1024];
    CHECK(story->hidden <= 1024);
    size_t count = 0;
    for (size_t first = 0; first < story->prompt_count; first += count) {
        count = story->prompt_count - first < CHUNK_ROWS ? story->prompt_count - first : CHUNK_ROWS;
        memset(hidden, 0, sizeof hidden);
        for (size_t row = 0; row < count; row++) {
            memcpy(hidden + row * story->hidden, embedding_row(story, story->prompt[first + row]), story->hidden * 2);
        }
        run_layers(story, port, pick_group(port, false, first), first, count, hidden);
    }
    return run_head(story, port, hidden + (count - 1) * story->hidden);
}

uint32_t read_token(const struct story *story, const struct port *port, uint32_t token, size_t position) {
    uint16_t hidden[1024];
    memcpy(hidden, embedding_row(story, token), story->hidden * 2);
    run_layers(story, port, pick_group(port, true, position + 1), position, 1, hidden);
    return run_head(story, port, hidden);
}

void tell(const struct story *story, const struct port *port, const char *who) {
    uint32_t token = read_prompt(story, port);
    for (size_t i = 0; i < story->answer_count; i++) {
        if (token != story->answer[i]) FAIL("%s: token %zu is %u, not %u", who, i, token, story->answer[i]);
        token = read_token(story, port, token, story->prompt_count + i);
    }
    printf("%s: all %zu tokens as expected\n", who, story->answer_count);
}
