/* replay.c - a fuzz target without libFuzzer, for `npm test`: every file of the folders that are named, as it is and with damage
 * from a fixed seed (a byte changed, a stretch repeated, copied over or left out, the end cut off).
 *
 *   replay DAMAGED FOLDER...    DAMAGED: how many damaged copies of each file */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/random.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LARGEST = 1 << 20 };

static uint64_t state = 20261125;

static size_t below(size_t count) { return count ? test_random(&state) % count : 0; }

/* One change, in place; the new size. */
static size_t damage(uint8_t *bytes, size_t size) {
    if (size == 0) return 0;
    const size_t at = below(size), other = below(size), longest = size - (at > other ? at : other), length = 1 + below(longest < 64 ? longest : 64) % longest;
    switch (below(5)) {
        case 0: bytes[at] = (uint8_t)test_random(&state); return size;
        case 1: bytes[at] ^= (uint8_t)(1u << below(8)); return size;
        case 2: memmove(bytes + at, bytes + other, length); return size;
        case 3: memmove(bytes + at, bytes + at + length, size - at - length); return size - length;
        default: return below(8) ? size : at;
    }
}

static void replay(const uint8_t *file, size_t size, int damaged) {
    static uint8_t bytes[LARGEST];
    for (int n = 0; n <= damaged; ++n) {
        memcpy(bytes, file, size);
        size_t now = size;
        for (size_t changes = n == 0 ? 0 : 1 + below(4); changes > 0; --changes) now = damage(bytes, now);
        /* A block of exactly this size, so that a sanitizer sees a read behind it. */
        uint8_t *copy = malloc(now ? now : 1);
        memcpy(copy, bytes, now);
        (void)LLVMFuzzerTestOneInput(copy, now);
        free(copy);
    }
}

static int replay_folder(const char *folder, int damaged) {
    static uint8_t bytes[LARGEST];
    DIR *directory = opendir(folder);
    int files = 0;
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (!file) continue;
        const size_t size = fread(bytes, 1, LARGEST, file);
        fclose(file);
        replay(bytes, size, damaged);
        ++files;
    }
    if (directory) closedir(directory);
    return files;
}

int main(int count, char **arguments) {
    int files = 0;
    for (int i = 2; i < count; ++i) files += replay_folder(arguments[i], atoi(arguments[1]));
    printf("%d passed, %d failed\n", files > 0, files == 0); /* what fails does not come here */
    return files == 0;
}
