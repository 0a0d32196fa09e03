package s3xml

// Paths are the elements that are known in an answer, each as root/a/b, and
// whether text stands in it.
func (a *Response) Paths() map[string]bool {
	all := map[string]bool{}
	var walk func(path string, e *element)
	walk = func(path string, e *element) {
		path += e.name
		all[path] = e.inside == nil
		for _, child := range e.inside {
			walk(path+"/", child)
		}
	}
	for _, root := range a.roots {
		walk("", root)
	}
	return all
}
