"""Surnames for applications: common ones, with the letters and marks that real ones have. Nobody is meant."""

_LIST = """
    Smith Jones Taylor Brown Williams Wilson Johnson Davies Patel Robinson Wright Thompson Evans Walker White
    Roberts Green Hall Wood Jackson Clarke Harris Lewis Martin Cooper King Ward Turner Hill Moore Clark Lee
    Baker Harrison Morris Allen Scott Watson Parker James Bennett Young Phillips Richardson Mitchell Bailey
    Carter Cook Singh Shaw Bell Collins Morgan Kelly Begum Miller Cox Hussain Marshall Simpson Price Anderson
    Adams Wilkinson Foster Ellis Murphy Chapman Mason Gray Richards Webb Palmer Rogers Hunt Hughes Khan Ali
    Ahmed Kaur Stewart Campbell MacDonald McDonald Mackenzie Fraser Sinclair Buchanan Ferguson Murray Reid
    Gallagher Doherty Quinn Byrne Walsh Doyle Nolan Kavanagh Brennan O'Brien O'Connor O'Neill O'Sullivan
    O\N{RIGHT SINGLE QUOTATION MARK}Reilly
    O'Shea D'Souza D'Angelo N'Diaye M'Bala St.John Owen Rees Pugh Bowen Llewellyn Lloyd Vaughan
    Prosser Gwynne Meredith Tudur Gruffudd Siôn Môn Llŷr Rhŷs Dafydd Prydderch Cadwaladr Eluned Nkosi Okafor
    Adeyemi Okonkwo Mensah Boateng Owusu Kamara Diallo Mwangi Otieno Haile Tesfaye Chowdhury Rahman Miah
    Uddin Islam Akhtar Malik Iqbal Sharma Gupta Mehta Desai Reddy Nair Fernando Perera Nguyễn Trần Wong Chan
    Cheung Tang Liu Zhang Wang Kim Park Tanaka Müller Schäfer Jäger Weiß Kowalski Nowak Wiśniewski Wójcik
    Dąbrowski Łukasik Novák Dvořák Horváth Szabó Popescu Ionescu Șerban Petrović Kovačević Žukauskas Bērziņš
    García Fernández Muñoz Peña Gonçalves Ferreira João Conceição Rossi Esposito Dubois Lefèvre François
    Béranger Åström Sørensen Jørgensen Öztürk Y\u0131lmaz Demir Papadopoulos Ivanova Shevchenko
    Smith-Jones Taylor-Brown Clarke-Hughes Lloyd-Rees Khan-Ahmed Pryce-Owen Adams-Nkosi Campbell-Reid
    Ferreira-Costa Evans-O'Neill Lefèvre-Martin Chan-Walker
    de_Souza van_der_Berg ap_Rhys Le_Roux Da_Silva Al_Hassan Ó_Briain Nic_Dhòmhnaill
"""
SURNAMES = tuple(name.replace("_", " ") for name in _LIST.split())
