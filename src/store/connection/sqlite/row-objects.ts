/** Converts the array of a row to an object with the names of its columns. If a name occurs twice, the object has the last value. */
export type ToObject = (row: unknown) => Record<string, unknown>

/** Returns a function that copies an object with all names. This is twice as fast as adding the names one by one. */
export function copiedToObject(names: readonly string[]): ToObject {
  const empty: Record<string, unknown> = Object.fromEntries(names.map((name) => [name, null]))
  return (row) => {
    const object = { ...empty }
    for (let index = 0; index < names.length; index++) object[names[index] as string] = (row as unknown[])[index]
    return object
  }
}

/** Like {@link copiedToObject}. The function is compiled from text with the names in it, as in mysql2. It takes a fifth of the time. */
export function compiledToObject(names: readonly string[]): ToObject {
  // Without the square brackets, `"__proto__": value` would set the prototype.
  const keyOf = (name: string): string => (name === '__proto__' ? '["__proto__"]' : JSON.stringify(name))
  const fields = names.map((name, index) => `${keyOf(name)}: row[${index}]`)
  try {
    // oxlint-disable-next-line typescript/no-implied-eval
    return new Function('row', `return { ${fields.join(', ')} }`) as ToObject
  } catch (thrown) {
    // The process may forbid this: `node --disallow-code-generation-from-strings`.
    if (thrown instanceof EvalError) return copiedToObject(names)
    throw thrown
  }
}
