export const echo = (value: unknown): unknown => value

export function forever(): Promise<never> {
  return new Promise(() => setInterval(() => {}, 1_000))
}

export const blob = (): Blob => new Blob(['a'])
