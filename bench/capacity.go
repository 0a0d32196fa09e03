package main

func (s *settings) capacity() error { return nil }
