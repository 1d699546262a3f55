// The types of the library are not used: it is known as `any`.
export {}
