/** Formats a number with its noun: `1 run`, `2 runs`. */
export function counted(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`
}
