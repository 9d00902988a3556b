/** An amount of memory with a unit: `'256MB'`, `'1.5GB'`. One MB is 1,048,576 bytes. */
export type MemorySize = `${number}${'KB' | 'MB' | 'GB'}`

const UNIT_BYTES: Readonly<Record<string, number>> = { KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 }

export const MEMORY_EXPECTED = 'an amount of memory with its unit (KB, MB, GB), such as "256MB"'

/** Parses an amount of memory, and returns its number of bytes; undefined if the text is not an amount. */
export function memoryBytes(text: unknown): number | undefined {
  const found = typeof text === 'string' ? /^(\d+(?:\.\d+)?)(KB|MB|GB)$/.exec(text) : null
  const unit = UNIT_BYTES[found?.[2] ?? '']
  return unit === undefined ? undefined : Math.round(Number(found?.[1]) * unit)
}
