import { useLayoutEffect, useRef } from 'preact/hooks'

export interface EntryFieldProps {
  readonly value: string
  readonly type?: 'text' | 'search' | 'date'
  readonly placeholder?: string | undefined
  /** Called when the user leaves the field after a change, or presses Enter. */
  readonly onEntered: (value: string) => void
}

/**
 * A field whose text takes effect when the user presses Enter or leaves the field. Unlike an input with `value`, it keeps the typed text
 * when the page is drawn again, for example because new data has arrived. Its text is replaced only when `value` changes.
 */
export function EntryField({ value, type = 'text', placeholder, onEntered }: EntryFieldProps) {
  const field = useRef<HTMLInputElement>(null)
  useLayoutEffect(() => {
    if (field.current) field.current.value = value
  }, [value])
  const shared = {
    ref: field,
    ...(placeholder !== undefined && { placeholder }),
    onChange: ({ currentTarget }: { readonly currentTarget: HTMLInputElement }) =>
      onEntered(currentTarget.value.trim()),
  }
  switch (type) {
    case 'date':
      return <input type="date" {...shared} />
    case 'search':
      return <input type="search" {...shared} />
    case 'text':
      return <input {...shared} />
  }
}
