/** What Node has and @types/node leaves to the DOM's types, as far as it is used; and a library without types of its own. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: BufferSource);
  }
  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, unknown>;
  }
  class Memory {
    readonly buffer: ArrayBuffer;
  }
  class RuntimeError extends Error {}
  type BufferSource = ArrayBufferView | ArrayBuffer;
  function validate(bytes: BufferSource): boolean;
  function compile(bytes: BufferSource): Promise<Module>;
  function instantiate(module: Module, imports?: Record<string, Record<string, unknown>>): Promise<Instance>;
}

declare module 'pngjs' {
  export class PNG {
    constructor(options: { width: number; height: number });
    static sync: { write(image: PNG, options?: { colorType?: number }): Buffer };
    data: Buffer;
    width: number;
    height: number;
  }
}
