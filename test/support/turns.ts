/** Lets everything that is ready run, once. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** The same several times. */
export async function turns(count: number): Promise<void> {
  for (let done = 0; done < count; done++) await turn()
}
