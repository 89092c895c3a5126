/* Answers rows of features with an ensemble of decision trees; trees.py lays out the memory and calls psm_trees_answer.
 *
 * A forest is slow for two reasons: a step waits for the node before it to come from memory, and which way a row goes
 * cannot be guessed, so a branch is guessed wrong every other time, which costs as much as twenty instructions. So
 *  - a node is 8 bytes and its children are neighbours: the comparison is added to the left child's address, not branched on;
 *  - a leaf leads to itself, so a tree takes as many steps as it is deep whichever leaf is reached, and no branch asks
 *    whether this is one: its threshold is a NaN, than which nothing is greater, and the NaN's free bits number the leaf;
 *  - LANES walks go side by side, so the processor works on the others while one waits: through several trees for one
 *    row, and through one tree, which then stays in the nearest cache, for several rows.
 *
 * Nothing is allocated and nothing but the answer is written, so any number of threads may call it. No bound is looked
 * at: TreeEnsemble's checks and the packing in trees.py promise that each column, child and leaf is there.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

const char *const psm_trees_source = SOURCE_SHA256; /* from the build; a test compares it with this file */

enum {
    LANES = 12,        /* of 4 to 20 the fastest: fewer wait for memory, more no longer fit the registers */
    BLOCK = 64,        /* rows that share a pass over the trees: 11 KiB with 44 columns, beside one tree in 48 KiB of cache */
    MOST_CLASSES = 16, /* as in psm_contract.trees */
    COLUMN_BITS = 10,
    LEAF_BITS = 22
};

struct node {
    float threshold; /* largest value that goes left; of a leaf a NaN that holds its number */
    uint32_t link;   /* low COLUMN_BITS: column to look at; above them: nodes from here to the left child, 0 at a leaf */
};

struct tree {
    uint32_t root;
    uint32_t depth;
};

struct ensemble {
    const struct node *nodes;
    const struct tree *trees; /* their number is a multiple of LANES: empty ones, which add nothing, fill it up */
    const float *values;      /* [leaves][classes] */
    const double *base;       /* [classes] */
    int32_t tree_count, columns, classes, softmax;
};

static inline void walk(const struct node *at[LANES], const float *const row[LANES], uint32_t depth) {
    for (uint32_t step = 0; step < depth; step++) {
        for (int lane = 0; lane < LANES; lane++) {
            const struct node *node = at[lane];
            const float value = row[lane][node->link & ((1u << COLUMN_BITS) - 1)];
            at[lane] = node + (node->link >> COLUMN_BITS) + (value > node->threshold);
        }
    }
}

static inline const float *values_of(const struct ensemble *e, const struct node *leaf) {
    uint32_t bits;
    memcpy(&bits, &leaf->threshold, sizeof bits);
    return e->values + (size_t)(bits & ((1u << LEAF_BITS) - 1)) * (size_t)e->classes;
}

/* One row: lanes are trees. */
static void sum_row(const struct ensemble *e, const float *row, double *sum) {
    const float *rows[LANES];
    for (int lane = 0; lane < LANES; lane++) rows[lane] = row;
    for (int32_t first = 0; first < e->tree_count; first += LANES) {
        const struct tree *trees = e->trees + first;
        const struct node *at[LANES];
        uint32_t depth = 0;
        for (int lane = 0; lane < LANES; lane++) {
            at[lane] = e->nodes + trees[lane].root;
            depth = trees[lane].depth > depth ? trees[lane].depth : depth;
        }
        walk(at, rows, depth);
        for (int lane = 0; lane < LANES; lane++) {
            const float *values = values_of(e, at[lane]);
            for (int32_t class = 0; class < e->classes; class++) sum[class] += values[class];
        }
    }
}

/* Up to BLOCK rows: lanes are rows. The last lanes walk the last row again where rows run out. */
static void sum_rows(const struct ensemble *e, const float *rows, int64_t count, double sums[][MOST_CLASSES]) {
    for (int32_t tree = 0; tree < e->tree_count; tree++) {
        const struct node *root = e->nodes + e->trees[tree].root;
        for (int64_t first = 0; first < count; first += LANES) {
            const int64_t used = count - first < LANES ? count - first : LANES;
            const struct node *at[LANES];
            const float *row[LANES];
            for (int lane = 0; lane < LANES; lane++) {
                at[lane] = root;
                row[lane] = rows + (first + (lane < used ? lane : used - 1)) * e->columns;
            }
            walk(at, row, e->trees[tree].depth);
            for (int lane = 0; lane < used; lane++) {
                const float *values = values_of(e, at[lane]);
                for (int32_t class = 0; class < e->classes; class++) sums[first + lane][class] += values[class];
            }
        }
    }
}

static void finish(const struct ensemble *e, double *sum, float *answer) {
    if (e->softmax) {
        double most = sum[0], total = 0.0;
        for (int32_t class = 1; class < e->classes; class++) most = sum[class] > most ? sum[class] : most;
        for (int32_t class = 0; class < e->classes; class++) total += sum[class] = exp(sum[class] - most);
        for (int32_t class = 0; class < e->classes; class++) sum[class] /= total;
    }
    for (int32_t class = 0; class < e->classes; class++) answer[class] = (float)sum[class];
}

/* rows: [count][columns]; answers: [count][classes] */
void psm_trees_answer(const struct ensemble *e, const float *rows, int64_t count, float *answers) {
    double sums[BLOCK][MOST_CLASSES];
    for (int64_t first = 0; first < count; first += BLOCK) {
        const int64_t used = count - first < BLOCK ? count - first : BLOCK;
        for (int64_t row = 0; row < used; row++)
            for (int32_t class = 0; class < e->classes; class++) sums[row][class] = e->base[class];
        if (used >= LANES)
            sum_rows(e, rows + first * e->columns, used, sums);
        else
            for (int64_t row = 0; row < used; row++) sum_row(e, rows + (first + row) * e->columns, sums[row]);
        for (int64_t row = 0; row < used; row++) finish(e, sums[row], answers + (first + row) * e->classes);
    }
}
