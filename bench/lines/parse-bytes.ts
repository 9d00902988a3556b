/** The number of a page, from bytes that were handed over. */
export function numberOf(bytes: Uint8Array, isFixed: boolean): number {
  const { n } = JSON.parse(Buffer.from(bytes).toString()) as { readonly n: number }
  if (!isFixed && isBroken(n)) throw new TypeError(`page ${n} looks different`)
  return n
}

/** Whether the first version of the code fails for a page: three of ten. */
export function isBroken(n: number): boolean {
  return n % 10 < 3
}
