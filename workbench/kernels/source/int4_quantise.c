/* From float weights to 4-bit codes: for each group of columns the nearest table, for each weight its code.

   Everything is compared in whole numbers, eighths of an 8-bit step, so that the choice is the same everywhere. */
#include <math.h>
#include "codes.h"
#include "vectors.h"

#define MIRRORED (TABLES / 2) /* tables from here on are the first ones' negatives, in rising order again */
#define FINE 8                /* parts of an 8-bit step */
#define SMALLEST 1e-30f       /* rows below it are 0: their scale's inverse would be too large */
#define FIRST_SHARE 25        /* tables tried: their largest level is so many of SHARES of the group's largest weight */
#define LAST_SHARE 34
#define SHARES 32
#define MOST_GAIN 1.02        /* of a row: more than that one weight among thousands asks for, at the others' cost */

/* The nearest of some levels (rising) to each of GROUP weights. */
INLINE void approach(const int16_t *weights, const int8_t *levels, int16_t *nearest) {
    for (int i = 0; i < GROUP; i++) nearest[i] = (int16_t)(FINE * levels[0]);
#pragma GCC unroll 15
    for (int l = 1; l < LEVELS; l++) {
        int16_t limit = (int16_t)(FINE / 2 * (levels[l - 1] + levels[l]));
        int16_t step = (int16_t)(FINE * (levels[l] - levels[l - 1]));
        for (int i = 0; i < GROUP; i++) nearest[i] = (int16_t)(nearest[i] + (weights[i] > limit ? step : 0));
    }
}

/* The sum of the squared distances of GROUP weights to their nearest levels. */
static int32_t distance(const int16_t *weights, const int8_t *levels) {
    int16_t nearest[GROUP];
    approach(weights, levels, nearest);
    int32_t sum = 0;
    for (int i = 0; i < GROUP; i++) {
        int16_t off = (int16_t)(weights[i] - nearest[i]);
        sum += (int32_t)off * off;
    }
    return sum;
}

/* The number of the best table for a group. */
static uint8_t best_table(const int16_t *weights, const int8_t *levels) {
    int largest = 0;
    for (int i = 0; i < GROUP; i++) {
        int size = weights[i] < 0 ? -weights[i] : weights[i];
        largest = size > largest ? size : largest;
    }
    largest = (largest + FINE - 1) / FINE;
    int32_t least = INT32_MAX;
    int best = 0;
    for (int share = FIRST_SHARE; share <= LAST_SHARE; share++) {
        int table = (largest * share + SHARES / 2) / SHARES;
        if (table > MIRRORED - 1) table = MIRRORED - 1;
        for (int mirrored = 0; mirrored <= MIRRORED; mirrored += MIRRORED) {
            int32_t found = distance(weights, levels + (table + mirrored) * LEVELS);
            if (found < least) least = found, best = table + mirrored;
        }
    }
    return (uint8_t)best;
}

static void write_codes(const int16_t *weights, const int8_t *levels, uint8_t *to) {
    uint8_t codes[GROUP] = {0};
    for (int l = 1; l < LEVELS; l++) {
        int16_t limit = (int16_t)(FINE / 2 * (levels[l - 1] + levels[l]));
        for (int i = 0; i < GROUP; i++) codes[i] = (uint8_t)(codes[i] + (weights[i] > limit));
    }
    for (int i = 0; i < HALF; i++) to[i] = (uint8_t)(codes[i] | codes[i + HALF] << 4);
}

/* Adds a group's products to a row's: of the weights with themselves, and with their levels. */
static void add_products(const int16_t *weights, const int8_t *levels, int64_t *own, int64_t *both) {
    int16_t nearest[GROUP];
    approach(weights, levels, nearest);
    for (int i = 0; i < GROUP; i++) {
        *own += (int32_t)weights[i] * weights[i];
        *both += (int32_t)weights[i] * nearest[i];
    }
}

/* from (rows, columns) float32, finite -> codes (rows, groups, HALF), tables (rows, groups), scales (rows).

   Columns beyond the last are 0. `levels` (TABLES, LEVELS) are to choose from. The nearest levels are shorter than the
   weights by what is left out; scales make up for it, so that a row's product with itself stays what it was. */
void int4_quantise(const float *from, long rows, long columns, const int8_t *levels, uint8_t *codes, uint8_t *tables,
                   float *scales, int threads) {
    long groups = (columns + GROUP - 1) / GROUP;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (long row = 0; row < rows; row++) {
        const float *values = from + row * columns;
        float largest = 0;
        for (long i = 0; i < columns; i++) largest = fabsf(values[i]) > largest ? fabsf(values[i]) : largest;
        if (largest < SMALLEST) largest = 0;
        float inverse = largest > 0 ? FINE * 127.0f / largest : 0;
        int64_t own = 0, both = 0;
        for (long g = 0; g < groups; g++) {
            int16_t weights[GROUP] = {0};
            long count = columns - g * GROUP < GROUP ? columns - g * GROUP : GROUP;
            for (long i = 0; i < count; i++) weights[i] = (int16_t)rintf(values[g * GROUP + i] * inverse);
            long at = row * groups + g;
            tables[at] = best_table(weights, levels);
            write_codes(weights, levels + tables[at] * LEVELS, codes + at * HALF);
            add_products(weights, levels + tables[at] * LEVELS, &own, &both);
        }
        double gain = both > 0 ? (double)own / (double)both : 1;
        scales[row] = (float)(largest * (gain < MOST_GAIN ? gain : MOST_GAIN));
    }
}
