/* Files that want to hurt: an error or a sound profile, never a crash. Run under ASan and UBSan these tests say more. */
#include "profile/safetensors.h"
#include "profiles.h"

/* What comes out of a file that was taken must be sound: it can be scored, merged, saved and read again. */
static void use(nac_profile *profile) {
    size_t size;
    uint8_t *bytes = save_copy(profile, &size);
    nac_profile *again;
    nac_error error;
    ENSURE_OK(nac_profile_open(bytes, size, &again, &error), &error);
    ENSURE(same_file(profile, again));
    (void)nac_profile_merge(again, profile, &error);
    if (nac_profile_layer_count(profile) == LAYERS && nac_profile_layer(profile, 0).neurons == C0 && nac_profile_layer(profile, 1).neurons == C1) {
        batch *b = make_batch(1);
        float score;
        score_images(profile, b, 0, 1, NULL, &score);
        ENSURE(score >= 0 && score <= 1);
        free(b);
    }
    free(bytes);
    nac_profile_destroy(again);
}

/* From a block of exactly `size` bytes, so that ASan sees a read behind it. */
static nac_status open_and_use(const uint8_t *bytes, size_t size, nac_error *error) {
    uint8_t *exact = malloc(size ? size : 1);
    if (size) memcpy(exact, bytes, size);
    nac_profile *profile = NULL;
    *error = (nac_error){0};
    nac_status status = nac_profile_open(exact, size, &profile, error);
    free(exact);
    ENSURE((status == NAC_OK) == (profile != NULL));
    ENSURE(status == NAC_OK || (error->status == status && strlen(error->message) > 10));
    if (profile) use(profile);
    nac_profile_destroy(profile);
    return status;
}

static void test_every_truncation(void) {
    nac_profile *profile = make_full_profile();
    size_t size;
    uint8_t *bytes = save_copy(profile, &size);
    nac_error error;
    for (size_t n = 0; n < size; ++n) ENSURE(open_and_use(bytes, n, &error) == NAC_MALFORMED);
    ENSURE(open_and_use(bytes, size, &error) == NAC_OK);
    uint8_t *longer = calloc(size + 1, 1);
    memcpy(longer, bytes, size);
    ENSURE(open_and_use(longer, size + 1, &error) == NAC_MALFORMED);
    ENSURE(nac_profile_open(NULL, 0, &profile, &error) == NAC_MALFORMED);
    free(longer);
    free(bytes);
    nac_profile_destroy(profile);
}

static void test_every_byte_flipped(void) {
    nac_profile *profile = make_full_profile();
    size_t size;
    uint8_t *bytes = save_copy(profile, &size);
    static const uint8_t values[] = {0, '"', '{', '}', '[', ',', '0', '9', '-', '\\', ' ', 0xFF};
    int taken = 0, refused = 0;
    for (size_t i = 0; i < size; ++i) {
        uint8_t was = bytes[i];
        for (size_t v = 0; v < 8 + sizeof values; ++v) {
            nac_error error;
            bytes[i] = v < 8 ? (uint8_t)(was ^ (1u << v)) : values[v - 8];
            if (open_and_use(bytes, size, &error) == NAC_OK)
                ++taken;
            else
                ++refused;
        }
        bytes[i] = was;
    }
    ENSURE(taken > 0 && refused > 0);
    free(bytes);
    nac_profile_destroy(profile);
}

/* ---- Files made by hand -------------------------------------------------------------------------- */

/* A header and its data in one block. */
static uint8_t *make_file(const char *header, const void *data, size_t data_size, size_t *size) {
    uint64_t length = strlen(header);
    uint8_t *bytes = malloc(8 + (size_t)length + data_size);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, (size_t)length);
    if (data_size) memcpy(bytes + 8 + length, data, data_size);
    *size = 8 + (size_t)length + data_size;
    return bytes;
}

/* 64 bytes of data: edges F64 [4] at 0, counts U32 [3, 2] at 32, 8 bytes for more at 56. */
typedef struct small_data {
    double edges[4];
    uint32_t counts[6];
    float more[2];
} small_data;

static const small_data fine = {{0, 0.5, 1, 1.5}, {1, 0, 2, 0, 0, 3}, {0.25f, 0.5f}};

#define FORMAT "\"format\":\"nac-profile\",\"version\":\"1\""
#define LAYER "[{\\\"name\\\":\\\"t\\\",\\\"pool\\\":\\\"sum\\\",\\\"neurons\\\":2,\\\"alpha\\\":1,\\\"M\\\":4,\\\"O\\\":1}]"
#define META "\"__metadata__\":{" FORMAT ",\"images\":\"3\",\"layers\":\"" LAYER "\"}"
#define EDGES "\"0.edges\":{\"dtype\":\"F64\",\"shape\":[4],\"data_offsets\":[0,32]}"
#define COUNTS "\"0.counts\":{\"dtype\":\"U32\",\"shape\":[3,2],\"data_offsets\":[32,56]}"
#define MORE(name, type, shape) "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[56,64]}"
#define PAD MORE("pad", "U8", "[8]")
#define TENSORS EDGES "," COUNTS "," PAD
#define LAYER_WITH(fields) "{\"__metadata__\":{" FORMAT ",\"images\":\"3\",\"layers\":\"[{" fields "}]\"}," TENSORS "}"

typedef struct hostile {
    const char *header;
    nac_status status;
    const char *words; /* of the message */
} hostile;

static void expect(const hostile *cases, size_t count, const small_data *data) {
    for (size_t i = 0; i < count; ++i) {
        size_t size;
        uint8_t *bytes = make_file(cases[i].header, data, sizeof *data, &size);
        nac_error error;
        nac_status status = open_and_use(bytes, size, &error);
        free(bytes);
        if (status != cases[i].status || (cases[i].words && !strstr(error.message, cases[i].words))) {
            printf("case %zu: %s, \"%s\" for %.200s\n", i, nac_status_name(status), error.message, cases[i].header);
            test_fail(__FILE__, __LINE__, "a hostile file was not met as expected");
        }
    }
}

static void test_container(void) {
    const hostile cases[] = {
        {"{" META "," TENSORS "}", NAC_OK, NULL},
        {"{" META "," TENSORS "}   ", NAC_OK, NULL},
        {"", NAC_MALFORMED, "not JSON"},
        {"[]", NAC_MALFORMED, "object"},
        {"null", NAC_MALFORMED, "object"},
        {"{" META "," TENSORS "", NAC_MALFORMED, "not JSON"},
        {"{" META "," TENSORS ",}", NAC_MALFORMED, "not JSON"},
        {"{" TENSORS "}", NAC_MALFORMED, "format"},
        {"{\"__metadata__\":[]," TENSORS "}", NAC_MALFORMED, "__metadata__"},
        {"{\"__metadata__\":{\"format\":1}," TENSORS "}", NAC_MALFORMED, "not a string"},
        {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}," TENSORS "}", NAC_MALFORMED, "twice"},
        {"{\"__metadata__\":{\"a\\u0000b\":\"1\"}," TENSORS "}", NAC_MALFORMED, "NUL"},
        {"{\"__metadata__\":{\"a\":\"1\\u00002\"}," TENSORS "}", NAC_MALFORMED, "NUL"},
        {"{" META "," META "," TENSORS "}", NAC_MALFORMED, "twice"},
        {"{" META "," TENSORS "," EDGES "}", NAC_MALFORMED, "twice"},
        {"{" META "," EDGES "," COUNTS "," MORE("pad\\u0000", "U8", "[8]") "}", NAC_MALFORMED, "NUL"},
        /* places */
        {"{" META "," EDGES "," COUNTS "}", NAC_MALFORMED, "8 bytes at the end"},
        {"{" META "," COUNTS "," PAD "}", NAC_MALFORMED, "gap"},
        {"{" META "," TENSORS ",\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[52,56]}}", NAC_MALFORMED, "overlaps"},
        {"{" META "," TENSORS ",\"x\":{\"dtype\":\"U8\",\"shape\":[64],\"data_offsets\":[0,64]}}", NAC_MALFORMED, "overlaps"},
        {"{" META "," TENSORS ",\"x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[3,3]}}", NAC_MALFORMED, NULL},
        {"{" META "," TENSORS ",\"x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[64,64]}}", NAC_OK, NULL},
        {"{" META "," TENSORS ",\"x\":{\"dtype\":\"U8\",\"shape\":[9,0],\"data_offsets\":[0,0]}}", NAC_OK, NULL},
        {"{" META "," EDGES "," COUNTS "," "\"p\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[56,65]}}", NAC_MALFORMED, "outside"},
        {"{" META "," EDGES "," COUNTS "," "\"p\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[64,56]}}", NAC_MALFORMED, "outside"},
        {"{" META "," EDGES "," COUNTS "," "\"p\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[18446744073709551608,18446744073709551615]}}",
         NAC_MALFORMED, "outside"},
        {"{" META "," EDGES "," COUNTS "," "\"p\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[-8,0]}}", NAC_MALFORMED, "outside"},
        {"{" META "," EDGES "," COUNTS "," "\"p\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[56.0,64.0]}}", NAC_MALFORMED, "outside"},
        {"{" META "," EDGES "," COUNTS "," "\"p\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[56]}}", NAC_MALFORMED, "data_offsets"},
        {"{" META "," EDGES "," COUNTS "," "\"p\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":\"56\"}}", NAC_MALFORMED, "data_offsets"},
        {"{" META "," EDGES "," COUNTS "," "\"p\":{\"dtype\":\"U8\",\"shape\":[8]}}", NAC_MALFORMED, "data_offsets"},
        {"{" META "," EDGES "," COUNTS "," "\"p\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[56,64]}}", NAC_MALFORMED, "data_offsets"},
        {"{" META "," EDGES "," COUNTS ",\"p\":7}", NAC_MALFORMED, "\"p\""},
        /* types and shapes */
        {"{" META "," EDGES "," COUNTS "," MORE("p", "U9", "[8]") "}", NAC_MALFORMED, "dtype"},
        {"{" META "," EDGES "," COUNTS "," MORE("p", "", "[8]") "}", NAC_MALFORMED, "dtype"},
        {"{" META "," EDGES "," COUNTS "," MORE("p", "F8_E5M2X", "[8]") "}", NAC_MALFORMED, "dtype"},
        {"{" META "," EDGES "," COUNTS "," MORE("p", "U8", "[7]") "}", NAC_MALFORMED, "8 bytes, its shape needs 7"},
        {"{" META "," EDGES "," COUNTS "," MORE("p", "F64", "[]") "}", NAC_OK, NULL},
        {"{" META "," EDGES "," COUNTS "," MORE("p", "U8", "[-8]") "}", NAC_MALFORMED, "shape"},
        {"{" META "," EDGES "," COUNTS "," MORE("p", "U8", "[8.0]") "}", NAC_MALFORMED, "shape"},
        {"{" META "," EDGES "," COUNTS "," MORE("p", "U8", "[\"8\"]") "}", NAC_MALFORMED, "shape"},
        {"{" META "," EDGES "," COUNTS "," MORE("p", "U8", "8") "}", NAC_MALFORMED, "shape"},
        {"{" META "," EDGES "," COUNTS "," MORE("p", "U8", "[1,1,1,1,1,8]") "}", NAC_OK, NULL},
        {"{" META "," EDGES "," COUNTS "," MORE("p", "U8", "[1,1,1,1,1,1,8]") "}", NAC_LIMIT_EXCEEDED, "7 dimensions"},
        {"{" META "," EDGES "," COUNTS "," MORE("p", "F64", "[4294967296,4294967296]") "}", NAC_MALFORMED, "too large"},
        {"{" META "," EDGES "," COUNTS "," MORE("p", "U64", "[2305843009213693953]") "}", NAC_MALFORMED, NULL}, /* 8 times it is 8, modulo 2^64 */
        {"{" META "," EDGES "," COUNTS "," MORE("p", "U8", "[99999999999999999999]") "}", NAC_MALFORMED, NULL},
    };
    expect(cases, sizeof cases / sizeof cases[0], &fine);
}

static void test_header_lengths(void) {
    const uint64_t lengths[] = {NAC_MAX_PROFILE_HEADER + 1, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 32, (uint64_t)1 << 63};
    uint8_t bytes[64] = {0};
    nac_error error;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; ++i) {
        memcpy(bytes, &lengths[i], 8);
        ENSURE(open_and_use(bytes, sizeof bytes, &error) == NAC_LIMIT_EXCEEDED);
    }
    memcpy(bytes, &(uint64_t){57}, 8);
    ENSURE(open_and_use(bytes, sizeof bytes, &error) == NAC_MALFORMED);
    ENSURE(strstr(error.message, "57 bytes passes the end"));
}

static void test_profile_metadata(void) {
#define OWN(images, layers, more) "{\"__metadata__\":{" FORMAT ",\"images\":\"" images "\",\"layers\":\"" layers "\"" more "}," TENSORS "}"
    const hostile cases[] = {
        {OWN("3", LAYER, ""), NAC_OK, NULL},
        {OWN("4294967295", LAYER, ""), NAC_OK, NULL},
        {"{\"__metadata__\":{\"format\":\"pt\"}," TENSORS "}", NAC_MALFORMED, "no profile"},
        {"{\"__metadata__\":{\"format\":\"nac-profile\"}," TENSORS "}", NAC_MALFORMED, "version"},
        {"{\"__metadata__\":{\"format\":\"nac-profile\",\"version\":\"2\"}," TENSORS "}", NAC_UNSUPPORTED, "version \"2\""},
        {"{\"__metadata__\":{" FORMAT "}," TENSORS "}", NAC_MALFORMED, "\"layers\" is missing"},
        {"{\"__metadata__\":{" FORMAT ",\"layers\":\"" LAYER "\"}," TENSORS "}", NAC_MALFORMED, "\"images\" is missing"},
        {OWN("", LAYER, ""), NAC_MALFORMED, "images"},
        {OWN("-1", LAYER, ""), NAC_MALFORMED, "images"},
        {OWN("3.0", LAYER, ""), NAC_MALFORMED, "images"},
        {OWN("4294967296", LAYER, ""), NAC_MALFORMED, "images"},
        {OWN("99999999999999999999999999", LAYER, ""), NAC_MALFORMED, "images"},
        {OWN("2", LAYER, ""), NAC_MALFORMED, "counted 3 times in 2 images"},
        {OWN("3", "", ""), NAC_MALFORMED, "not JSON"},
        {OWN("3", "[]", ""), NAC_MALFORMED, "1..64 layers"},
        {OWN("3", "{}", ""), NAC_MALFORMED, "1..64 layers"},
        {OWN("3", "[1]", ""), NAC_MALFORMED, "layer 0"},
        {OWN("3", LAYER, ",\"model\":\"{\""), NAC_MALFORMED, "not JSON"},
        {OWN("3", LAYER, ",\"model\":\"{\\\"sha256\\\":\\\"zz\\\"}\""), NAC_MALFORMED, "sha256"},
        {OWN("3", LAYER, ",\"preprocess\":\"[]\""), NAC_MALFORMED, NULL},
        {OWN("3", LAYER, ",\"labels\":\"[[]]\""), NAC_MALFORMED, "labels"},
        {OWN("3", LAYER, ",\"selfTest\":\"\""), NAC_MALFORMED, "selfTest"},
        {OWN("3", LAYER, ",\"\":\"an empty key\""), NAC_OK, NULL},
        {OWN("3", LAYER, ",\"calibration\":\"{}\""), NAC_MALFORMED, "calibration"},
        {OWN("3", LAYER, ",\"calibration\":\"\""), NAC_MALFORMED, "calibration"},
    };
    expect(cases, sizeof cases / sizeof cases[0], &fine);
}

static void test_layers(void) {
#define F(name, value) "\\\"" name "\\\":" value
#define T(text) "\\\"" text "\\\""
    const hostile cases[] = {
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("cls")) "," F("neurons", "2") "," F("alpha", "1e-3") "," F("M", "4") "," F("O", "1e9")), NAC_OK, NULL},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("max")) "," F("neurons", "2") "," F("alpha", "1") "," F("M", "4") "," F("O", "1")), NAC_MALFORMED, "pool"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", "1") "," F("neurons", "2") "," F("alpha", "1") "," F("M", "4") "," F("O", "1")), NAC_MALFORMED, "pool"},
        {LAYER_WITH(F("name", T("")) "," F("pool", T("sum")) "," F("neurons", "2") "," F("alpha", "1") "," F("M", "4") "," F("O", "1")), NAC_MALFORMED, "name"},
        {LAYER_WITH(F("name", T("a\\\\u0000b")) "," F("pool", T("sum")) "," F("neurons", "2") "," F("alpha", "1") "," F("M", "4") "," F("O", "1")), NAC_MALFORMED, "name"},
        {LAYER_WITH(F("name", "7") "," F("pool", T("sum")) "," F("neurons", "2") "," F("alpha", "1") "," F("M", "4") "," F("O", "1")), NAC_MALFORMED, "name"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "0") "," F("alpha", "1") "," F("M", "4") "," F("O", "1")), NAC_MALFORMED, "neurons"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "-2") "," F("alpha", "1") "," F("M", "4") "," F("O", "1")), NAC_MALFORMED, "neurons"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "1000001") "," F("alpha", "1") "," F("M", "4") "," F("O", "1")), NAC_MALFORMED, "neurons"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "4294967298") "," F("alpha", "1") "," F("M", "4") "," F("O", "1")), NAC_MALFORMED, "neurons"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "3") "," F("alpha", "1") "," F("M", "4") "," F("O", "1")), NAC_MALFORMED, "U32 [3, 3]"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "2") "," F("alpha", "0") "," F("M", "4") "," F("O", "1")), NAC_MALFORMED, "alpha"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "2") "," F("alpha", "1e39") "," F("M", "4") "," F("O", "1")), NAC_MALFORMED, "alpha"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "2") "," F("alpha", "1e-60") "," F("M", "4") "," F("O", "1")), NAC_MALFORMED, "alpha"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "2") "," F("alpha", T("1")) "," F("M", "4") "," F("O", "1")), NAC_MALFORMED, "alpha"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "2") "," F("alpha", "1") "," F("M", "3") "," F("O", "1")), NAC_MALFORMED, "M = 3"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "2") "," F("alpha", "1") "," F("M", "2") "," F("O", "1")), NAC_MALFORMED, "M = 2"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "2") "," F("alpha", "1") "," F("M", "4.0") "," F("O", "1")), NAC_MALFORMED, "M"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "2") "," F("alpha", "1") "," F("M", "6") "," F("O", "1")), NAC_MALFORMED, "F64 [6]"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "2") "," F("alpha", "1") "," F("M", "10002") "," F("O", "1")), NAC_MALFORMED, "M = 10002"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "2") "," F("alpha", "1") "," F("M", "4") "," F("O", "0")), NAC_MALFORMED, "O = 0"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "2") "," F("alpha", "1") "," F("M", "4") "," F("O", "1e999")), NAC_MALFORMED, NULL},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "2") "," F("alpha", "1") "," F("M", "4")), NAC_MALFORMED, "layer 0"},
        {LAYER_WITH(F("name", T("t")) "," F("pool", T("sum")) "," F("neurons", "2") "," F("alpha", "1") "," F("M", "4") "," F("O", "1") "," F("O", "2")), NAC_MALFORMED, "layer 0"},
        {LAYER_WITH(F("name", T("t")) "," F("name", T("u")) "," F("neurons", "2") "," F("alpha", "1") "," F("M", "4") "," F("O", "1")), NAC_MALFORMED, "layer 0"},
    };
    expect(cases, sizeof cases / sizeof cases[0], &fine);
    const hostile tensors[] = {
        {"{" META "," COUNTS ",\"0.edge\":{\"dtype\":\"F64\",\"shape\":[4],\"data_offsets\":[0,32]}," PAD "}", NAC_MALFORMED, "\"0.edges\" is missing"},
        {"{" META "," EDGES ",\"1.counts\":{\"dtype\":\"U32\",\"shape\":[3,2],\"data_offsets\":[32,56]}," PAD "}", NAC_MALFORMED, "\"0.counts\" is missing"},
        {"{" META "," EDGES ",\"0.counts\":{\"dtype\":\"I32\",\"shape\":[3,2],\"data_offsets\":[32,56]}," PAD "}", NAC_MALFORMED, "must be U32 [3, 2]"},
        {"{" META "," EDGES ",\"0.counts\":{\"dtype\":\"U32\",\"shape\":[2,3],\"data_offsets\":[32,56]}," PAD "}", NAC_MALFORMED, "must be U32 [3, 2]"},
        {"{" META "," EDGES ",\"0.counts\":{\"dtype\":\"U32\",\"shape\":[3,2,1],\"data_offsets\":[32,56]}," PAD "}", NAC_MALFORMED, "must be U32 [3, 2]"},
        {"{" META "," EDGES ",\"0.counts\":{\"dtype\":\"U32\",\"shape\":[6],\"data_offsets\":[32,56]}," PAD "}", NAC_MALFORMED, "must be U32 [3, 2]"},
        {"{" META "," COUNTS ",\"0.edges\":{\"dtype\":\"I64\",\"shape\":[4],\"data_offsets\":[0,32]}," PAD "}", NAC_MALFORMED, "must be F64 [4]"},
        {"{" META "," COUNTS ",\"0.edges\":{\"dtype\":\"F64\",\"shape\":[4,1],\"data_offsets\":[0,32]}," PAD "}", NAC_MALFORMED, "must be F64 [4]"},
    };
    expect(tensors, sizeof tensors / sizeof tensors[0], &fine);
}

static void test_numbers_in_tensors(void) {
    const hostile edges = {"{" META "," TENSORS "}", NAC_MALFORMED, "0.edges"};
    const double bad[][4] = {{0, NAN, 1, 2}, {0, 0.5, 0.5, 1}, {0, 0.6, 0.5, 1}, {3, 2, 1, 0}, {0, 1, 2, INFINITY}, {-INFINITY, 1, 2, 3}, {NAN, 1, 2, 3}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        small_data data = fine;
        memcpy(data.edges, bad[i], sizeof data.edges);
        expect(&edges, 1, &data);
    }
    const hostile counts = {"{" META "," TENSORS "}", NAC_MALFORMED, "neuron 1: counted"};
    small_data data = fine;
    data.counts[1] = data.counts[3] = data.counts[5] = UINT32_MAX; /* their sum must not wrap */
    expect(&counts, 1, &data);

    const hostile hashes[] = {
        {"{" META "," EDGES "," COUNTS "," MORE("images.hash", "U64", "[1]") "}", NAC_OK, NULL},
        {"{" META "," EDGES "," COUNTS "," MORE("images.hash", "I64", "[1]") "}", NAC_MALFORMED, "images.hash"},
        {"{" META "," EDGES "," COUNTS "," MORE("calibration.hash", "U64", "[]") "}", NAC_MALFORMED, "calibration.hash"},
        {"{" META "," EDGES "," COUNTS "," MORE("calibration.hash", "U64", "[1,1]") "}", NAC_MALFORMED, "calibration.hash"},
    };
    expect(hashes, sizeof hashes / sizeof hashes[0], &fine);
    const hostile twice = {"{" META ",\"0.edges\":{\"dtype\":\"F64\",\"shape\":[4],\"data_offsets\":[0,32]},"
                           "\"0.counts\":{\"dtype\":\"U32\",\"shape\":[3,2],\"data_offsets\":[48,72]},"
                           "\"images.hash\":{\"dtype\":\"U64\",\"shape\":[2],\"data_offsets\":[32,48]}}", NAC_MALFORMED, "strictly ascending"};
    uint8_t raw[72] = {0};
    memcpy(raw, fine.edges, 32);
    memcpy(raw + 32, (uint64_t[]){5, 5}, 16);
    size_t size;
    nac_error error;
    uint8_t *bytes = make_file(twice.header, raw, sizeof raw, &size);
    ENSURE(open_and_use(bytes, size, &error) == twice.status && strstr(error.message, twice.words));
    free(bytes);
}

static void test_calibrations(void) {
#define CALIBRATED(images, rate, threshold)                                                                                              \
    "{\"__metadata__\":{" FORMAT ",\"images\":\"3\",\"layers\":\"" LAYER "\",\"calibration\":\"{" F("images", images) "," F("falseAlarm", rate) \
    "," F("threshold", threshold) "}\"}," EDGES "," COUNTS "," MORE("calibration.scores", "F32", "[2]") "}"
    const hostile cases[] = {
        {CALIBRATED("2", "0.5", "0.25"), NAC_OK, NULL},
        {CALIBRATED("2", "0.1", "0"), NAC_OK, NULL},
        {CALIBRATED("2", "0.5", "0.26"), NAC_MALFORMED, "threshold"},
        {CALIBRATED("2", "0.5", "null"), NAC_MALFORMED, "threshold"},
        {CALIBRATED("3", "0.5", "0.25"), NAC_MALFORMED, "2 images"},
        {CALIBRATED("2", "1.5", "0.25"), NAC_MALFORMED, "1.5"},
        {CALIBRATED("2", "-0.5", "0.25"), NAC_MALFORMED, "-0.5"},
        {CALIBRATED("2", "true", "0.25"), NAC_MALFORMED, "falseAlarm"},
        {"{" META "," EDGES "," COUNTS "," MORE("calibration.scores", "F32", "[2]") "}", NAC_MALFORMED, "without metadata"},
    };
    expect(cases, sizeof cases / sizeof cases[0], &fine);
    const hostile good = {CALIBRATED("2", "0.5", "0.25"), NAC_MALFORMED, NULL};
    const float bad[][2] = {{0.5f, 0.25f}, {NAN, 0.25f}, {0.25f, NAN}, {-1, 0.25f}, {0.25f, 1.5f}, {0.25f, INFINITY}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        small_data data = fine;
        memcpy(data.more, bad[i], sizeof data.more);
        expect(&good, 1, &data);
    }
}

static void test_calibration_classes(void) {
#define CLASSED(type, shape)                                                                                                              \
    "{\"__metadata__\":{" FORMAT ",\"images\":\"3\",\"layers\":\"" LAYER "\",\"calibration\":\"{" F("images", "2") "," F("falseAlarm", "0.5") \
    "," F("threshold", "0.25") "}\"}," EDGES "," COUNTS "," MORE("calibration.scores", "F32", "[2]")                                      \
    ",\"calibration.classes\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[64,72]}}"
    const struct {
        hostile expected;
        float scores[2];
        uint32_t classes[2];
    } cases[] = {
        {{CLASSED("U32", "[2]"), NAC_OK, NULL}, {0.25f, 0.5f}, {1, 0}},
        {{CLASSED("U32", "[2]"), NAC_OK, NULL}, {0.25f, 0.25f}, {1, 1}},
        {{CLASSED("U32", "[2]"), NAC_MALFORMED, "where scores are equal"}, {0.25f, 0.25f}, {1, 0}},
        {{CLASSED("U32", "[2]"), NAC_OK, NULL}, {0.25f, 0.5f}, {0, 999999}},
        {{CLASSED("U32", "[2]"), NAC_MALFORMED, "class 1000000"}, {0.25f, 0.5f}, {0, 1000000}},
        {{CLASSED("U32", "[2]"), NAC_MALFORMED, "class 4294967295"}, {0.25f, 0.5f}, {UINT32_MAX, 0}},
        {{CLASSED("I32", "[2]"), NAC_MALFORMED, "must be U32 [2]"}, {0.25f, 0.5f}, {0, 0}},
        {{CLASSED("U32", "[2,1]"), NAC_MALFORMED, "must be U32 [2]"}, {0.25f, 0.5f}, {0, 0}},
        {{CLASSED("U64", "[1]"), NAC_MALFORMED, "must be U32 [2]"}, {0.25f, 0.5f}, {0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        uint8_t data[72];
        memcpy(data, &fine, 56);
        memcpy(data + 56, cases[i].scores, 8);
        memcpy(data + 64, cases[i].classes, 8);
        size_t size;
        nac_error error;
        uint8_t *bytes = make_file(cases[i].expected.header, data, sizeof data, &size);
        ENSURE(open_and_use(bytes, size, &error) == cases[i].expected.status);
        ENSURE(!cases[i].expected.words || strstr(error.message, cases[i].expected.words));
        free(bytes);
    }
    const hostile alone = {"{" META "," EDGES "," COUNTS "," MORE("calibration.classes", "U32", "[2]") "}", NAC_MALFORMED, "without metadata"};
    expect(&alone, 1, &fine);
}

/* 1 MB of brackets, of tensors and of metadata keys: refused or taken in time that grows with their length alone. */
static void test_long_headers(void) {
    enum { LENGTH = 1 << 20 };
    char *header = malloc(LENGTH + 64);
    nac_error error;
    size_t size;
    memset(header, '[', LENGTH);
    header[LENGTH] = 0;
    uint8_t *bytes = make_file(header, NULL, 0, &size);
    ENSURE(open_and_use(bytes, size, &error) == NAC_MALFORMED);
    free(bytes);
    size_t length = 1;
    for (int i = 0; length < LENGTH - 64; ++i)
        length += (size_t)sprintf(header + length, "%s\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", i ? "," : "", i);
    header[0] = '{';
    strcpy(header + length, "}");
    bytes = make_file(header, NULL, 0, &size);
    ENSURE(open_and_use(bytes, size, &error) == NAC_MALFORMED && strstr(error.message, "format"));
    free(bytes);
    length = (size_t)sprintf(header, "{" EDGES "," COUNTS "," PAD ",\"__metadata__\":{" FORMAT ",\"images\":\"3\",\"layers\":\"" LAYER "\"");
    for (int i = 0; length < LENGTH - 64; ++i) length += (size_t)sprintf(header + length, ",\"%d\":\"\"", i);
    strcpy(header + length, "}}");
    bytes = make_file(header, &fine, sizeof fine, &size);
    ENSURE(open_and_use(bytes, size, &error) == NAC_LIMIT_EXCEEDED && strstr(error.message, "1024 keys"));
    free(bytes);
    free(header);
}

int main(void) {
    RUN(test_every_truncation);
    RUN(test_every_byte_flipped);
    RUN(test_container);
    RUN(test_header_lengths);
    RUN(test_profile_metadata);
    RUN(test_layers);
    RUN(test_numbers_in_tensors);
    RUN(test_calibrations);
    RUN(test_calibration_classes);
    RUN(test_long_headers);
    return TEST_RESULT();
}
