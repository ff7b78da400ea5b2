# nac_flags: how our own C is compiled, everywhere. nac_link: how executables are linked.
add_library(nac_flags INTERFACE)
add_library(nac_link INTERFACE)

# -ffp-contract=off: a*b + c is rounded twice on every host, so that scores are the same numbers
# natively and as wasm. Fused multiply-add is used where it is asked for by name.
target_compile_options(nac_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion -Werror -ffp-contract=off
                                           -ffunction-sections -fdata-sections)
# GCC cannot follow "results are written only on NAC_OK" and warns of each such result.
target_compile_options(nac_flags INTERFACE $<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)

if(NAC_SANITIZE)
  set(sanitize -fsanitize=${NAC_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(nac_flags INTERFACE ${sanitize})
  # Loops that ask to be vectorised cannot be, between checks; in the other builds that stays an error.
  target_compile_options(nac_flags INTERFACE $<$<C_COMPILER_ID:Clang>:-Wno-pass-failed>)
  target_link_options(nac_link INTERFACE ${sanitize})
endif()

if(EMSCRIPTEN)
  target_compile_options(nac_flags INTERFACE -msimd128)
  if(NAC_XNNPACK_VARIANT STREQUAL "relaxed")
    target_compile_options(nac_flags INTERFACE -mrelaxed-simd)
  endif()
  # WASM_BIGINT: 64-bit integers cross the border as BigInt, so Binaryen's legalisation pass (absent from
  # the npm package) isn't needed.
  target_link_options(nac_link INTERFACE -sWASM_BIGINT -sALLOW_MEMORY_GROWTH -sMAXIMUM_MEMORY=4GB
                                         -sSTACK_SIZE=1MB)
else()
  # Also needed for correctness: XNNPACK's archive leaves out the kernels that only dropped code refers to.
  target_link_options(nac_link INTERFACE -Wl,--gc-sections)
endif()
