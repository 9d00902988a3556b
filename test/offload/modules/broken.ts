throw new Error('this module fails while it loads')

export function never(): void {}
