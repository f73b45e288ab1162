//! A project's folder, written for one test.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::binary;

/// A temporary folder, in memory where the system has such a place: what is tested waits for its disk, and test machines' disks are busy.
pub fn folder() -> TempDir {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("moongate-test-");
    builder.tempdir_in("/dev/shm").or_else(|_| builder.tempdir()).expect("a temporary folder")
}

/// A temporary folder with a project in it, removed when the value is dropped.
pub struct Project {
    folder: TempDir,
    /// Where the project is in the folder.
    place: PathBuf,
}

impl Default for Project {
    fn default() -> Self {
        let folder = folder();
        Self { folder, place: PathBuf::from(".") }
    }
}

impl Project {
    /// A project of files: path and text.
    pub fn of<const N: usize>(files: [(&str, &str); N]) -> Self {
        let project = Self::default();
        files.iter().for_each(|(path, text)| project.write(path, text));
        project
    }

    /// A copy of a folder of the repository, at the same place below the temporary folder as below the repository, so that
    /// commands written for the repository's folder work there, and nothing changes the original. Every `:8080` in its files
    /// becomes another port.
    pub fn copy_of(place: &str, port: u16) -> Self {
        let project = Self { place: PathBuf::from(place), ..Self::default() };
        copy(&binary::repository().join(place), &project.path(), port);
        project
    }

    /// Writes a file, in one step as editors do: readers see the old text or the new one, never half of it.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder in the project");
        // The name starts with a dot, so that it is no document of the project while it is there.
        let draft = path.with_file_name(format!(".{}.draft", path.file_name().unwrap_or_default().display()));
        fs::write(&draft, text).and_then(|()| fs::rename(&draft, &path)).expect("a file in the project");
    }

    /// Removes a file.
    pub fn remove(&self, path: &str) {
        fs::remove_file(self.join(path)).expect("the file is there");
    }

    /// The project's folder.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.place)
    }

    /// Where commands run: the folder in which the project was made or copied.
    pub fn working_folder(&self) -> &Path {
        self.folder.path()
    }

    /// The project's folder as commands in the working folder name it.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// A path in the project's folder.
    pub fn join(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }
}

fn copy(from: &Path, to: &Path, port: u16) {
    fs::create_dir_all(to).expect("a folder to copy to");
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("cannot read {}: {error}", from.display())) {
        let path = entry.expect("a folder that can be read").path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target, port);
        } else {
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
            fs::write(&target, text.replace(":8080", &format!(":{port}"))).expect("a file in the copy");
        }
    }
}
