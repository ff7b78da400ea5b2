# CMake toolchain file: the Emscripten that set-up chose. Set-up writes its folder to
# .cache/toolchain/emscripten.txt (an emcc on PATH that is new enough, or a private one).
set(chosen ${CMAKE_CURRENT_LIST_DIR}/../../.cache/toolchain/emscripten.txt)
if(NOT EXISTS ${chosen})
  message(FATAL_ERROR "Emscripten isn't set up. Run `npm run setup` first.")
endif()
file(STRINGS ${chosen} NAC_EMSCRIPTEN LIMIT_COUNT 1)
include(${NAC_EMSCRIPTEN}/cmake/Modules/Platform/Emscripten.cmake)
