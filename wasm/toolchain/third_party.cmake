# Third-party code as targets: xnnpack (imported), nanopb, yyjson, stb. Sources are pinned in sources.json
# and unpacked by set-up; warnings in them are not ours to fix.
set(NAC_SOURCES ${NAC_CACHE}/src)
foreach(source IN ITEMS nanopb yyjson stb)
  if(NOT EXISTS ${NAC_SOURCES}/${source})
    message(FATAL_ERROR "${NAC_SOURCES}/${source} is missing. Run `npm run setup` first.")
  endif()
endforeach()

# ONNX is protobuf. The generated onnx.pb.{c,h} are committed; this is the decoder they call.
add_library(nanopb STATIC ${NAC_SOURCES}/nanopb/pb_decode.c ${NAC_SOURCES}/nanopb/pb_common.c)
target_include_directories(nanopb SYSTEM PUBLIC ${NAC_SOURCES}/nanopb)
# 32-bit sizes: a tensor's bytes are one field, and fields are limited to 64 KiB otherwise.
target_compile_definitions(nanopb PUBLIC PB_FIELD_32BIT)

add_library(yyjson STATIC ${NAC_SOURCES}/yyjson/src/yyjson.c)
target_include_directories(yyjson SYSTEM PUBLIC ${NAC_SOURCES}/yyjson/src)
# It inlines all of itself, for gigabytes a second. What is read here is a few kilobytes a model, and a browser compiles the binary before it does:
# small functions are less of it.
target_compile_definitions(yyjson PUBLIC YYJSON_DISABLE_NON_STANDARD PRIVATE yyjson_inline=inline)
target_compile_options(yyjson PRIVATE -Os)

add_library(stb INTERFACE)
target_include_directories(stb SYSTEM INTERFACE ${NAC_SOURCES}/stb)

foreach(library IN ITEMS nanopb yyjson)
  target_compile_options(${library} PRIVATE -w -ffunction-sections -fdata-sections -ffp-contract=off)
  if(NAC_SANITIZE)
    target_compile_options(${library} PRIVATE -fsanitize=${NAC_SANITIZE} -fno-omit-frame-pointer)
  endif()
endforeach()

if(NAC_XNNPACK)
  set(archive ${NAC_CACHE}/xnnpack/${NAC_XNNPACK_VARIANT}/libXNNPACK.a)
  if(NOT EXISTS ${archive})
    message(FATAL_ERROR "${archive} is missing. Run `npm run setup -- ${NAC_XNNPACK_VARIANT}` first, "
                        "or configure with -DNAC_XNNPACK=OFF for the reference backend alone.")
  endif()
  add_library(xnnpack STATIC IMPORTED)
  set_target_properties(xnnpack PROPERTIES IMPORTED_LOCATION ${archive})
  target_include_directories(xnnpack SYSTEM INTERFACE ${NAC_SOURCES}/xnnpack/include
                                                      ${NAC_SOURCES}/pthreadpool/include)
  if(NOT EMSCRIPTEN)
    target_link_libraries(xnnpack INTERFACE m pthread)
  endif()
endif()
