/* text.h - what is asked of names before they go into messages and JSON. */
#ifndef NAC_TEXT_H
#define NAC_TEXT_H

#include "base/base.h"

/* RFC 3629: no surrogates, no overlong forms. */
bool nac_utf8_valid(const char *text, size_t size);

#endif
