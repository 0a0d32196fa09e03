package finding

// Worded is err as a person reads it: text is a whole sentence, and errors.Is and
// errors.As still find err.
func Worded(err error, text string) error { return &worded{text, err} }

type worded struct {
	text string
	err  error
}

func (w *worded) Error() string { return w.text }

func (w *worded) Unwrap() error { return w.err }
