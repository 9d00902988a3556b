/** Does almost nothing, so that only the cost of the call remains. */
export function increment(value: number): number {
  return value + 1
}

/** Reads the first and the last byte. */
export function touch(buffer: ArrayBuffer): number {
  const bytes = new Uint8Array(buffer)
  return (bytes[0] ?? 0) + (bytes.at(-1) ?? 0)
}
