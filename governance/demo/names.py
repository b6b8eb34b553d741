"""Invented names. Given and family names are drawn from the same line, so that they go together."""

from __future__ import annotations

import unicodedata

#: Given names, family names. Every pair within a line is possible.
FAMILIES: tuple[tuple[str, str], ...] = (
    (
        "Aisling Conor Niamh Declan Orla Eoin Sinéad Rory Maeve Cillian",
        "Brennan Gallagher Doyle Kavanagh Nolan Quinn Sheridan Tierney Foley Carroll",
    ),
    (
        "Elin Oskar Saga Viktor Astrid Nils Freja Emil Linnea Axel",
        "Bergström Holm Sandberg Ekdahl Nyström Lund Sjögren Dahl Forsberg Wallin",
    ),
    (
        "Katrin Lukas Miriam Felix Annika Moritz Jule Tobias Lena Hannes",
        "Albrecht Brandt Schreiber Vogel Krämer Reinhardt Böhm Lindner Seidel Winkler",
    ),
    (
        "Lucía Mateo Valeria Diego Camila Javier Elena Álvaro Paula Sergio",
        "Aguilar Cordero Montoya Salinas Navarro Peña Cabrera Ibáñez Robles Vidal",
    ),
    (
        "Inês Tiago Beatriz Rui Mariana Duarte Joana Gonçalo Leonor Nuno",
        "Carvalho Figueiredo Moura Teixeira Barros Antunes Pacheco Queiroz Serrano Valente",
    ),
    (
        "Camille Hugo Élodie Bastien Manon Théo Anaïs Julien Clémence Rémi",
        "Lefèvre Marchand Rousseau Delacroix Perrin Chevalier Garnier Lambert Fontaine Besson",
    ),
    (
        "Zofia Jakub Maja Kacper Hanna Szymon Ola Bartosz Kinga Piotr",
        "Wójcik Kamiński Zając Lis Sikora Mazur Pawlak Dudek Górski Adamczyk",
    ),
    (
        "Priya Arjun Ananya Rohan Kavya Vikram Meera Nikhil Divya Sanjay",
        "Raman Iyer Kulkarni Deshpande Nair Bhatt Chaudhary Reddy Saxena Pillai",
    ),
    (
        "Aiko Haruto Yuki Kenji Sakura Daichi Emi Takumi Hana Ren",
        "Nakamura Fujita Hayashi Mori Ishikawa Ueda Kondo Shimizu Arai Okada",
    ),
    (
        "Mei Wei Lin Jun Xiu Hao Yan Chen Li Tao",
        "Zhang Huang Zhou Xu Sun Guo Deng Feng Tang Luo",
    ),
    (
        "Amara Chidi Ngozi Emeka Ifeoma Tunde Adaeze Obinna Folake Kelechi",
        "Okafor Adeyemi Nwosu Eze Balogun Okonkwo Afolabi Uche Danjuma Ogunleye",
    ),
    (
        "Leila Omar Yasmin Karim Noor Tariq Salma Hassan Dina Faris",
        "Haddad Mansour Khoury Nasser Farouk Saleh Darwish Aziz Rahman Sabbagh",
    ),
    (
        "Thandi Sipho Lindiwe Themba Naledi Kagiso Zanele Bongani Ayanda Thabo",
        "Dlamini Khumalo Mokoena Ndlovu Zulu Molefe Nkosi Radebe Sithole Mahlangu",
    ),
    (
        "Hannah Marcus Chloe Malik Jasmine Derek Naomi Tyrell Brooke Wesley",
        "Whitfield Bennett Hargrove Lawson Prescott Sutton Maddox Ellison Vance Thornton",
    ),
    (
        "Eleni Nikos Sofia Yannis Despina Kostas Ioanna Petros Katerina Spyros",
        "Papadakis Georgiou Nikolaidis Vassiliou Economou Kyriakou Laskaris Markou Stavrou Zervas",
    ),
)

_LETTERS = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "ss", "đ": "d", "æ": "ae", "'": "", " ": "-"})


def all_names() -> list[tuple[str, str]]:
    """Return every pair of given and family name once, always in the same order."""
    return [(given, family) for first, last in FAMILIES for given in first.split() for family in last.split()]


def handle(given: str, family: str) -> str:
    """Return the part of the e-mail address before the @: lower case ASCII."""
    spelled = unicodedata.normalize("NFKD", f"{given}.{family}".translate(_LETTERS))
    return spelled.encode("ascii", "ignore").decode().lower()
