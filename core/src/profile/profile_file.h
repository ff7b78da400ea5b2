/* profile_file.h - words of the file format, for its reader and its writer. */
#ifndef NAC_PROFILE_FILE_H
#define NAC_PROFILE_FILE_H

#define NAC_PROFILE_FORMAT "nac-profile"
#define NAC_PROFILE_VERSION "1"

enum { NAC_POOL_COUNT = 5 };
extern const char *const nac_pool_names[NAC_POOL_COUNT]; /* by nac_pool */

#endif
