/* Attention of single queries over cached keys and values, a thread for each query and head. */
#include <math.h>
#include <stdlib.h>
#include "vectors.h"

#define KEYS 4            /* scored together */
#define AHEAD 4096        /* bytes: keys that are called into the cache this early */
#define PARTS (LANES < 16 ? 8 : 16) /* vectors of a head that are summed in one pass over the values */

/* Keys or values of one row: (heads, tokens, width), where only the heads may lie apart. */
typedef struct {
    const char *from;
    long head_stride;     /* in elements */
    long tokens;
} cached;

/* scores[t] = query . keys[t] */
INLINE void score(int type, const float *query, const char *keys, long tokens, long width, float *scores) {
    long row = width * element_bytes(type), whole = width / LANES * LANES;
    for (long t = 0; t < tokens; t += KEYS) {
        floats found[KEYS];
        const char *at[KEYS];
#pragma GCC unroll 4
        for (int i = 0; i < KEYS; i++) {
            at[i] = keys + (t + i < tokens ? t + i : tokens - 1) * row;
            found[i] = no_floats();
        }
        for (long d = 0; d < whole; d += LANES) {
            floats part = load_floats(query + d);
            LOAD_ONCE(part);
#pragma GCC unroll 4
            for (int i = 0; i < KEYS; i++) {
                const char *key = at[i] + d * element_bytes(type);
                __builtin_prefetch(key + AHEAD);
                found[i] = multiply_add(widen(type, key), part, found[i]);
            }
        }
#pragma GCC unroll 4
        for (int i = 0; i < KEYS; i++) {
            float sum = total(found[i]);
            for (long d = whole; d < width; d++)
                sum += widen_one(type, at[i] + d * element_bytes(type)) * query[d];
            if (t + i < tokens) scores[t + i] = sum;
        }
    }
}

/* e^x for -87 <= x <= 0 to within 2e-7 of its size: x = n ln 2 + rest, and a polynomial of the rest. What lies below
   counts as -87, and NaN stays NaN.

   Plain arithmetic, so that the compiler computes a vector of them at once. */
INLINE float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    float whole = rintf(x * 1.44269504f);
    float rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f; /* ln 2 in two parts, the first one exact */
    float power = 1.0f / 5040;
    power = power * rest + 1.0f / 720;
    power = power * rest + 1.0f / 120;
    power = power * rest + 1.0f / 24;
    power = power * rest + 1.0f / 6;
    power = power * rest + 0.5f;
    power = power * rest + 1.0f;
    power = power * rest + 1.0f;
    uint32_t bits = (uint32_t)((int32_t)(whole > -127.0f ? whole : -127.0f) + 127) << 23; /* NaN has no whole number */
    float scale;
    memcpy(&scale, &bits, 4);
    return power * scale;
}

/* Scores to weights that sum to 1. */
static void softmax(float *scores, long tokens, float scale) {
    float largest = scores[0], sum = 0;
    for (long t = 1; t < tokens; t++) largest = scores[t] > largest ? scores[t] : largest;
    for (long t = 0; t < tokens; t++) scores[t] = exponential((scores[t] - largest) * scale);
    for (long t = 0; t < tokens; t++) sum += scores[t];
    for (long t = 0; t < tokens; t++) scores[t] /= sum;
}

/* to[d] = sum of weights[t] * values[t][d] over tokens, from the first on. */
INLINE void gather(int type, const float *weights, const char *values, long tokens, long width, float *to) {
    long row = width * element_bytes(type), whole = width / (PARTS * LANES) * (PARTS * LANES);
    for (long d = 0; d < whole; d += PARTS * LANES) {
        floats found[PARTS];
#pragma GCC unroll 16
        for (int i = 0; i < PARTS; i++) found[i] = no_floats();
        for (long t = 0; t < tokens; t++) {
            floats weight = all_floats(weights[t]);
            const char *at = values + t * row + d * element_bytes(type);
#pragma GCC unroll 16
            for (int i = 0; i < PARTS; i++)
                found[i] = multiply_add(widen(type, at + i * LANES * element_bytes(type)), weight, found[i]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < PARTS; i++) store_floats(to + d + i * LANES, found[i]);
    }
    for (long d = whole; d < width; d++) to[d] = 0;
    for (long t = 0; t < tokens; t++)
        for (long d = whole; d < width; d++)
            to[d] += weights[t] * widen_one(type, values + t * row + d * element_bytes(type));
}

INLINE void one_head(int type, const float *query, const char *keys, const char *values, long tokens, long width,
                     float *scores, float *to) {
    score(type, query, keys, tokens, width, scores);
    softmax(scores, tokens, 1.0f / sqrtf((float)width));
    gather(type, scores, values, tokens, width, to);
}

static void typed_head(int type, const float *query, const char *keys, const char *values, long tokens, long width,
                       float *scores, float *to) {
    if (type == BFLOAT16) one_head(BFLOAT16, query, keys, values, tokens, width, scores, to);
    else if (type == FLOAT16) one_head(FLOAT16, query, keys, values, tokens, width, scores, to);
    else one_head(FLOAT32, query, keys, values, tokens, width, scores, to);
}

/* to (rows, heads, width) = attention of queries (rows, heads, width) over each row's own keys and values.

   Returns 0, or 1 where memory is short. */
int attend_rows(int type, const float *queries, const cached *keys, const cached *values, long rows, long heads,
                long width, float *to, int threads) {
    long most = 0;
    int failed = 0;
    for (long row = 0; row < rows; row++) most = keys[row].tokens > most ? keys[row].tokens : most;
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        float *scores = malloc((size_t)(most + 1) * sizeof(float));
        failed = !scores;
        /* Head by head: rows of one stream, which stand side by side, read the same keys and values. */
#pragma omp for schedule(dynamic)
        for (long at = 0; at < rows * heads; at++) {
            long row = at % rows, head = at / rows, bytes_ = element_bytes(type);
            long place = (row * heads + head) * width;
            if (!scores || !keys[row].tokens) continue;
            typed_head(type, queries + place, keys[row].from + head * keys[row].head_stride * bytes_,
                       values[row].from + head * values[row].head_stride * bytes_, keys[row].tokens, width, scores,
                       to + place);
        }
        free(scores);
    }
    return failed;
}
