package store

// NoticeKind says what a Notice is about.
type NoticeKind int

const (
	// Lost says that content of the repository is damaged or gone: whoever has it should push it again.
	Lost NoticeKind = iota
	// Refused says that the repository was refused content because there is no room.
	Refused
	// Room says that there is room again for a repository that was refused.
	Room
)

// Notice tells what has happened to a repository without its doing.
type Notice struct {
	// Kind says what has happened.
	Kind NoticeKind
	// Repository is the name of the repository.
	Repository string
	// Detail is for people: which content is lost and how, or why it was refused. That there is room needs no words.
	Detail string
}
