/* test_image.h - golden images: file bytes, CRC-32, and the cases of tests/golden/image/cases.txt (see tests/oracle/image_goldens.py). */
#ifndef NAC_TEST_IMAGE_H
#define NAC_TEST_IMAGE_H

#include "nac.h"
#include "test.h"

typedef struct image_file {
    uint8_t *bytes;
    size_t size;
} image_file;

static inline image_file image_file_read(const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/image/%s", NAC_TEST_DATA, name);
    FILE *file = fopen(path, "rb");
    if (!file) test_fail(path, 0, "cannot be read");
    fseek(file, 0, SEEK_END);
    image_file result = {NULL, (size_t)ftell(file)};
    rewind(file);
    result.bytes = malloc(result.size + 1);
    if (fread(result.bytes, 1, result.size, file) != result.size) test_fail(path, 0, "cannot be read");
    result.bytes[result.size] = 0;
    fclose(file);
    return result;
}

static inline uint32_t image_crc(const void *bytes, size_t size) {
    const uint8_t *p = bytes;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; ++i) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? 0xedb88320u ^ crc >> 1 : crc >> 1;
    }
    return ~crc;
}

static inline nac_preprocess image_preset(const char *name) {
    nac_preprocess preprocess;
    nac_error error;
    ENSURE_OK(nac_preprocess_preset(name, &preprocess, &error), &error);
    return preprocess;
}

/* Decodes a golden file. */
static inline nac_image image_open(const char *name, nac_alpha alpha, bool exif) {
    nac_preprocess preprocess = image_preset("imagenet");
    preprocess.alpha = alpha;
    preprocess.exif = exif;
    image_file file = image_file_read(name);
    nac_image image;
    nac_error error;
    if (nac_image_decode(file.bytes, file.size, &preprocess, &image, &error) != NAC_OK) test_fail(name, 0, error.message);
    free(file.bytes);
    return image;
}

/* Calls `run` with every line of cases.txt that starts with `kind`, split at spaces; returns how many there were. A case that
 * differs is reported by `run` itself (false), so that one run shows them all. */
static inline int image_cases(const char *kind, bool (*run)(char **words)) {
    image_file file = image_file_read("cases.txt");
    int count = 0, failed = 0;
    for (char *line = (char *)file.bytes; line && *line;) {
        char *next = strchr(line, '\n');
        if (next) *next++ = 0;
        char copy[256], *words[8] = {0};
        snprintf(copy, sizeof copy, "%s", line);
        int n = 0;
        for (char *word = strtok(copy, " \r"); word && n < 8; word = strtok(NULL, " \r")) words[n++] = word;
        if (n > 1 && strcmp(words[0], kind) == 0) {
            ++count;
            if (!run(words)) printf("differs: %s\n", line), ++failed;
        }
        line = next;
    }
    free(file.bytes);
    ENSURE(failed == 0);
    return count;
}

#endif
