#ifndef INGOT_TABLES_H
#define INGOT_TABLES_H
#include "internal.h"
extern const table *const ingot_tables[INGOT_TABLES]; /* NULL where not compiled in */
#endif
